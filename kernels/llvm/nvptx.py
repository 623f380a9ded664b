def emit_nvptx():
    pass
