"""How an evaluation's page looks, beyond what all pages share."""

STYLE = """
.results { display: flex; flex-wrap: wrap; gap: 16px; align-items: flex-start; margin-bottom: 16px; }
.results > * { flex: 1 1 300px; min-width: 0; } .results > .numbers { flex: 2 1 max-content; }
.numbers td:first-child { min-width: 17ch; }
.numbers th:not(:first-child) { white-space: normal; vertical-align: bottom; }
.about td:first-child { width: 12ch; white-space: nowrap; color: var(--dim); }
.about td { overflow-wrap: anywhere; white-space: pre-wrap; }
.wide { display: grid; gap: 16px; grid-template-columns: minmax(0, 1fr); margin-top: 8px; }
.filters { position: sticky; top: 0; z-index: 1; background: var(--page); padding: 10px 0 2px;
  max-height: 30vh; overflow-y: auto; }
:root { --right: #17784a; --wrong: #b3402e; }
@media (prefers-color-scheme: dark) { :root { --right: #5cc793; --wrong: #f08a76; } }
.problems { list-style: none; margin: 0; padding: 0; counter-reset: shown; display: flex;
  flex-direction: column; gap: 12px; }
.filtered { counter-increment: shown; }
.problems > .shown { order: -1; color: var(--dim); }
.shown::before { content: counter(shown) " shown"; }
.problem { display: grid; grid-template-columns: 230px minmax(0, 1fr); gap: 4px 18px;
  content-visibility: auto; contain-intrinsic-size: auto 210px; }
.problem:not(:has(> .pictures)) { grid-template-columns: minmax(0, 1fr); }
.problem > .pictures { margin: 0; align-content: start; } .problem img { height: 170px; }
.problem > details { grid-column: 1 / -1; margin: 6px 0 0; }
.problem p { margin: 0 0 6px; white-space: pre-line; } .problem .said { color: var(--ink); font-size: 15px; }
.problem .name { font: 12px ui-monospace, monospace; }
.problem .truth b { color: var(--ink); }
.counts { display: flex; flex-wrap: wrap; gap: 2px 18px; } .counts span { overflow-wrap: anywhere; }
.counts i { font-style: normal; letter-spacing: 1px; color: var(--dim); }
.response { display: grid; grid-template-columns: 300px minmax(0, 1fr); gap: 4px 18px; padding: 10px 0;
  border-top: 1px solid var(--line); }
.response pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 340px;
  overflow-y: auto; font: 12px/1.5 ui-monospace, monospace; unicode-bidi: plaintext; }
.response p { font-size: 13px; } .response p > span { color: var(--ink); }
.right { color: var(--right); } .wrong, .chips .wrong { color: var(--wrong); }
@media (max-width: 800px) { .problem, .response { grid-template-columns: minmax(0, 1fr); }
  .filters { position: static; max-height: none; } }
"""
