#!/bin/sh
# The index page in a browser: which node, which jobs, links to their JSON; ids that look
# like HTML are text; nothing is fetched from elsewhere.
. "$(dirname "$0")/../support/lib.sh"
need browser curl

# page: the document after its scripts have run once; the browser's time may pass faster
# than the proxy answers.
page_is_filled() {
    timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --user-data-dir="$TMP/browser" --virtual-time-budget=3000 --dump-dom "$URL/" \
        >"$TMP/page" 2>"$TMP/browser.log"
    grep -q 'id="dot" class="' "$TMP/page"
}
page() {
    WAIT_SECONDS=60 wait_for "the page" page_is_filled
}
shows() {
    grep -qF -- "$1" "$TMP/page" || fail "the page does not show '$1': $(cat "$TMP/page")"
}

start_proxy --linger 100
wait_for "the first round" get /-/ready
want "resources from elsewhere" "$(get / |
    grep -oE "(src|href|url|fetch)[=(]+['\"]?(https?:)?//[^ ]*" | wc -l)" 0
size=$(get / | wc -c)
[ "$size" -lt 16384 ] || fail "the page has $size bytes"
# Every file of web/ is served as it is, also packed, and not again to who has it.
WEB=$(dirname "$0")/../../web
(cd "$WEB" && find . -type f | sed 's/^\.//') >"$TMP/files"
grep -q '^/index.html$' "$TMP/files" || fail "where are the pages?"
while read -r path; do
    curl -sS -D "$TMP/head" -o "$TMP/file" "$URL$path"
    cmp "$TMP/file" "$WEB$path" || fail "$path is not what lies in web/"
    curl -sS --compressed -o "$TMP/file" "$URL$path"
    cmp "$TMP/file" "$WEB$path" || fail "$path is not what lies in web/ when it is packed"
    grep -qi '^content-security-policy: default-src .self.;' "$TMP/head" ||
        fail "$path may load anything: $(cat "$TMP/head")"
    etag=$(sed -n 's/^ETag: *\(.*\)\r$/\1/p' "$TMP/head")
    want "$path again" "$(curl -sS -o "$TMP/file" -w '%{http_code} %{size_download}' \
        -H "If-None-Match: $etag" "$URL$path")" "304 0"
    want "another version of $path" "$(curl -sS -o "$TMP/file" -w '%{http_code}' \
        -H 'If-None-Match: "0"' "$URL$path")" 200
    case $path in
    *.html) type='text/html; charset=utf-8' ;;
    *.css) type='text/css; charset=utf-8' ;;
    *.js) type='text/javascript; charset=utf-8' ;;
    *) type= ;;
    esac
    [ -z "$type" ] || grep -qi "^content-type: $type" "$TMP/head" ||
        fail "the type of $path: $(cat "$TMP/head")"
done <"$TMP/files"
want "/ is /index.html" "$(get / | cksum)" "$(get /index.html | cksum)"
page
shows 'No job is running. Start one: proxy_run -- COMMAND'
shows 'No job has ended yet.'

"$BIN/proxy_run" -u "$SOCKET" -j ended -- true
stored() {
    get /profiles | grep -q '"jobid":"ended"'
}
wait_for "the profile" stored
"$BIN/proxy_run" -u "$SOCKET" -j '<img src=x>&"' -- sleep 60 &
kill_later $!
wait_for "the job" get '/job?job=%3Cimg%20src%3Dx%3E%26%22'
page
shows "<span id=\"host\">$(hostname)</span>"
shows "mproxy $("$BIN/proxy-v2" --version | grep -oE '[0-9]+\.[0-9]+\.[0-9]+') at "
shows 'href="/job?job=%3Cimg%20src%3Dx%3E%26%22">&lt;img src=x&gt;&amp;"</a>'
shows 'sleep 60'
shows 'href="/profiles/get?jobid=ended">ended</a>'
shows '<span id="dot" class="good">'
kill "$PROXY_PID"
