#!/bin/sh
# Files of a directory, read by the proxy and by a real node_exporter: both show the same of them,
# but for what the table in the script says.
. "$(dirname "$0")/../support/lib.sh"
need prometheus-node-exporter python3
mkdir "$TMP/files"
start_proxy --textfile-dir "$TMP/files"
wait_for "the first round" get /-/ready
export URL SOCKET TMP LOG PYTHONPATH="$SUPPORT"
timeout 280 python3 "$(dirname "$0")/t46-textfiles.py"
