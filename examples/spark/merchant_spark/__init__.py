"""The streams of merchant-taps as a data source of Apache Spark."""
