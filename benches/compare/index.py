"""Documents into Elasticsearch with the official Python client; prints the seconds that it took.

    python index.py one|bulk URL USER PASSWORD FILE COUNT

FILE has a line per document: its _id, a tab, its JSON. `one` is a call for each, as today's script does it; `bulk` is helpers.bulk.
Both decode the JSON first, untimed.
"""

import json
import sys
import time

from elasticsearch import Elasticsearch, helpers

how, url, user, password, path, count = sys.argv[1:]
index = f"consumer_lag_bench_{how}"
documents = []
with open(path, encoding="utf-8") as file:
    for line in file:
        if len(documents) == int(count):
            break
        number, text = line.rstrip("\n").split("\t", 1)
        documents.append((number, json.loads(text)))

client = Elasticsearch([url], basic_auth=(user, password), request_timeout=60)
client.indices.delete(index=index, ignore_unavailable=True)
mapping = json.load(open(__file__.rsplit("/", 3)[0] + "/mappings/consumer_lag.json", encoding="utf-8"))
client.indices.create(index=index, **mapping)
started = time.perf_counter()
if how == "one":
    for _, document in documents:
        client.index(index=index, document=document)
else:
    actions = ({"_op_type": "create", "_id": number, "_index": index, "_source": document} for number, document in documents)
    helpers.bulk(client, actions)
took = time.perf_counter() - started
client.indices.delete(index=index)
print(f"{took:.6f}")
