#!/bin/sh
# bench/http.sh ECHO: what one request costs the server, in CPU time of its process: our engine (the program ECHO, a
# release build of bench/http_echo) beside nginx, one worker each, the same certificate, TLS 1.3, loopback, in turns.
# Needs wrk, h2load, nginx, openssl. REQUESTS_H2 and SECONDS_11 scale it.
set -eu
echo_program=$1
seconds=${SECONDS_11:-6}
requests=${REQUESTS_H2:-300000}
rounds=${ROUNDS:-2}
dir=$(mktemp -d)
ours=
trap 'kill $ours $(cat "$dir/nginx.pid" 2>/dev/null) 2>/dev/null || :; sleep 0.3; rm -rf "$dir"' EXIT
cd "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k.pem -out c.pem -days 2 \
    -subj /CN=localhost -addext subjectAltName=DNS:localhost 2>/dev/null
body="{\"allowed\":true,\"reason\":\"$(head -c 272 /dev/zero | tr '\0' x)\"}"
port=${PORT:-28443}
cat > nginx.conf <<EOF
worker_processes 1; daemon on; pid $dir/nginx.pid; error_log $dir/error.log;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; client_body_temp_path $dir/b; proxy_temp_path $dir/p;
  fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s; default_type application/json;
  server { listen 127.0.0.1:$port ssl http2; ssl_certificate $dir/c.pem; ssl_certificate_key $dir/k.pem;
    ssl_protocols TLSv1.3; location / { return 200 '$body'; } } }
EOF
nginx -p "$dir" -c "$dir/nginx.conf"
"$echo_program" --port $((port + 1)) --cert c.pem --key k.pem > ours.out &
ours=$!
sleep 0.5
theirs=$(pgrep -P "$(cat nginx.pid)")
ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat"; }
hz=$(getconf CLK_TCK)
report() { # name, ticks, requests
    awk -v n="$1" -v t="$2" -v r="$3" -v hz="$hz" 'BEGIN { printf "%-22s %9d requests %7.2f us CPU each\n", n, r, t * 1e6 / hz / r }'
}
one() { # name, pid, port
    t=$(ticks "$2")
    r=$(wrk -t1 -c64 -d"${seconds}s" "https://127.0.0.1:$3/" | awk '/requests in/ { print $1 }')
    report "$1 1.1, 64 conns" $(($(ticks "$2") - t)) "$r"
    t=$(ticks "$2")
    r=$(h2load -c4 -m16 -n "$requests" "https://127.0.0.1:$3/" | awk '/^requests:/ { print $8 }')
    report "$1 h2, 4 x 16" $(($(ticks "$2") - t)) "$r"
}
for _ in $(seq "$rounds"); do
    one nginx "$theirs" "$port"
    one ours "$ours" $((port + 1))
done
