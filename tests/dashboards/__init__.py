"""The dashboard and the alerts of docs/dashboards/: their form, and every query tried."""
