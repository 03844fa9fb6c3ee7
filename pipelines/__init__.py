"""How the ladder is climbed: plain Python over arrays and tables. Never imports dagster or the assets."""
