"""The scorer mathruler, as EasyR1 and the UEC reference use it, in a process with limits."""
