"""What a job kind tells and asks (`operation`), what a person is shown before it (`preparation`), the start.

Dialog, buttons, API and command all go through here.
The kinds are in `web.operations`, the engine in `web.jobs`.
"""
