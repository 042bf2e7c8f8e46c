"""Apache Spark: train and recommend on a cluster, and Spark's models in and out of a store.

interop    read what Spark wrote and write what Spark loads, without Spark
"""
