"""Moving migrations out of an application's start: what migrates there, the task that does it once per deployment,
and whether the application's role may change the schema. It reads; what runs is a job kind's business.
"""
