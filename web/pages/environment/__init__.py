"""An environment's pages: `routes`, the `head` that all of them share, and one module for each tab.

What each tab shows is a value of `web.pages.views.environment`, in a module of the same name.
"""
