"""A first read: the newest invoices of Peakium, from an account or from the sandbox."""

from merchant_spark import register
from pyspark.sql import SparkSession

spark = SparkSession.builder.master("local[2]").appName("first").getOrCreate()
register(spark)

source = spark.read.format("merchant_taps").option("vendor", "peakium").option("stream", "invoices")
invoices = source.option("columns", "id,created,paid,calculated_total").load()
invoices.printSchema()
invoices.orderBy("created", ascending=False).show(5, truncate=False)
