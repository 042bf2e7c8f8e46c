"""Apache Spark: train and recommend on a cluster, and Spark's models in and out of a store.

engine     what grows with the ratings happens on a cluster; an ordinary snapshot comes back
interop    read what Spark wrote and write what Spark loads, without Spark

The only place that imports pyspark, inside functions, so that nobody else needs it.
"""
