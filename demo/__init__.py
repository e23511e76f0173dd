"""The demo: a clinic's application, its three databases with rows in them, and its builds."""
