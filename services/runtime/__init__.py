"""What every server of the mesh shares. Knows no one service."""
