"""`python -m sfa.report`: a page that shows what is in databases of tuned schedules."""
