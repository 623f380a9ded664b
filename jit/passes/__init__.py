"""The passes: functions from graph to graph, in the order that `pipeline` lists."""
