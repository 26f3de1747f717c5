"""Logs in COUNT times at one server with parallel-ssh, holds the sessions until it is ended.

    python connect.py PORT USER PRIVATE_KEY COUNT
"""

import sys
import time

from pssh.clients import ParallelSSHClient

port, user, key, count = sys.argv[1:]
client = ParallelSSHClient(
    ["127.0.0.1"] * int(count), port=int(port), user=user, pkey=key, pool_size=int(count), allow_agent=False,
    num_retries=1, timeout=120,
)
outputs = client.run_command("true", stop_on_errors=False)
time.sleep(600)
del outputs
