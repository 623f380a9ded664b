"""Control flow as ops: cond, while_loop, scan."""
