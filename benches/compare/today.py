"""What operators run today, for measurements beside mirrorlag: a thread and an SSH session per topic, an index call per line.

    python today.py FILE.json

FILE has user, private_key, consumer_groups, elasticsearch (URL), index and entries: [{topic, group, port}]; hosts are 127.0.0.1. It
does what the usual script does, its faults too: any host key is accepted, lags are text, a row is a partition by its place.
"""

import json
import logging
import sys
import threading
from datetime import datetime, timezone

import paramiko
from elasticsearch import Elasticsearch

COMMAND = (
    "while sleep 1; do echo $({cli} --bootstrap-server b1:9092 --group {group} --describe --command-config /mm.properties"
    " 2>/dev/null | grep {topic} | sed 's/\\s\\+/\\t/g' | cut -f 6 | xargs); done"
)


def collect(settings, client, entry):
    ssh = paramiko.SSHClient()
    ssh.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    # A hundred threads at once: the defaults of 15 s are too short for that.
    ssh.connect(
        "127.0.0.1", port=entry["port"], username=settings["user"], key_filename=settings["private_key"],
        allow_agent=False, look_for_keys=False, banner_timeout=120, auth_timeout=120, timeout=120,
    )
    command = COMMAND.format(cli=settings["consumer_groups"], group=entry["group"], topic=entry["topic"])
    _, stdout, _ = ssh.exec_command(command)
    for line in stdout:
        now = datetime.now(timezone.utc)
        document = {"@timestamp": now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z", "topic": entry["topic"]}
        for i, lag in enumerate(line.split()):
            document[f"p{i}"] = lag
        client.index(index=settings["index"], document=document)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        settings = json.load(file)
    logging.disable(logging.CRITICAL)
    client = Elasticsearch([settings["elasticsearch"]])
    if not client.indices.exists(index=settings["index"]):
        client.indices.create(index=settings["index"])
    threads = [threading.Thread(target=collect, args=(settings, client, entry)) for entry in settings["entries"]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
