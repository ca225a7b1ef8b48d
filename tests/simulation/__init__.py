"""The seeded simulation: the real program in a world that can be replayed from one number."""
