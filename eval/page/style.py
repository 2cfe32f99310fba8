"""CSS of the evaluation page, in addition to that of all pages."""

STYLE = """
.results { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; margin-bottom: 16px; }
.results > * { flex: 1 1 300px; min-width: 0; } .results > .numbers { flex: 2 1 max-content; }
.numbers td:first-child { min-width: 17ch; }
.numbers th:not(:first-child) { white-space: normal; vertical-align: bottom; }
.about td:first-child { width: 12ch; white-space: nowrap; color: var(--dim); }
.about td { overflow-wrap: anywhere; white-space: pre-wrap; }
.wide { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); margin-top: 8px; }
.problem > details { grid-column: 1 / -1; margin: 6px 0 0; }
.counts { display: flex; flex-wrap: wrap; gap: 2px 18px; } .counts span { overflow-wrap: anywhere; }
.counts i { font-style: normal; letter-spacing: 1px; color: var(--dim); }
.response { display: grid; grid-template-columns: 300px minmax(0, 1fr); gap: 4px 18px; padding: 10px 0;
  border-top: 1px solid var(--line); }
.response p { font-size: 13px; } .response p > span { color: var(--ink); }
@media (max-width: 800px) { .response { grid-template-columns: minmax(0, 1fr); } }
"""
