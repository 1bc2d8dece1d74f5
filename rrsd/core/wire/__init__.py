"""The grammar of each standard spoken here: `parse_*` and `render_*`, never a decision."""
