"""What pages, API and CLI say, worked out from what is stored: verdict, gate, overview, builds, environment, survey.

Nothing here connects to a target, and nothing is written but what CI tells of builds.
How it is found out is in `web.observation`; how it is shown in `web.pages` and `web.api`.
"""
