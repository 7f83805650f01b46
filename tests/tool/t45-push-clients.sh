#!/bin/sh
# Real client libraries, Python's and Go's, and curl push to the proxy as to Debian's Pushgateway:
# both show the same afterwards.
. "$(dirname "$0")/../support/lib.sh"
need prometheus-pushgateway curl
python=/usr/bin/python3
"$python" -c 'import prometheus_client' 2>/dev/null ||
    skip prometheus_client "no Python package of that name"
start_proxy
wait_for "the first round" get /-/ready

# The system's Go packages, so that nothing is fetched; they take a minute to build, once. In
# protobuf unless told otherwise.
gocode=/usr/share/gocode
if command -v go >/dev/null && [ -d $gocode/src/github.com/prometheus/client_golang ]; then
    (cd "$TMP" && cp "$SUPPORT/push/client.go" . &&
        GOFLAGS='' GO111MODULE=off GOPATH=$gocode GOCACHE=$BIN/../gocache go build -o client client.go) ||
        fail "the Go client does not build"
    GO_CLIENT=$TMP/client
    export GO_CLIENT
else
    skip_part go "no go, or no client_golang"
fi
export URL SOCKET PYTHONPATH="$SUPPORT"
timeout 200 "$python" "$(dirname "$0")/t45-push-clients.py"
