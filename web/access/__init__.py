"""Who people and tokens are, what each may do, and what is written down of it.

Sign-in, sessions, roles, permissions, tokens, confirmations, approvals, the audit trail.
What a job kind asks before it starts is in `web.starting`.
"""
