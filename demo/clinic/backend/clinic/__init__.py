"""The clinic: patients, their appointments and invoices."""
