"""A page and an API on this machine that score pictures, for people and programs that bring them one by one.

``topiq serve`` starts it. Starlette and uvicorn, of the extra ``serve``, are imported with its modules alone.
"""
