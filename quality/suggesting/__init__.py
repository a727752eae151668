"""Rules suggested from what batches were like: plain numbers over profiles and samples, no Spark.

`facts` is what is known of a batch, `judging` says whether a batch breaks a suggestion, `columns`, `numbers`, `tables` and
`relations` fit suggestions, `suite` keeps those that hold on later batches, `writing` makes the rule file.
"""
