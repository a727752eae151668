"""Where metrics are computed: finding and starting Spark, Deequ's analyzers, and Spark's own aggregates."""
