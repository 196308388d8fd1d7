"""lashlang: a small sandboxed language in which a model composes many tool calls."""
