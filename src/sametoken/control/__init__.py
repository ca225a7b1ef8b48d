"""Control of a node in development mode: its clock, its accounts and limits, a fresh start.

`controls` has it as functions, `web` over HTTP at /_sametoken. Rows are reached by use cases alone.
"""
