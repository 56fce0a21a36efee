/** Requests as browsers, command lines, SDKs and load balancers send them every day. */

export const ORDINARY_REQUESTS: readonly string[] = [
  'GET / HTTP/1.1\r\nHost: gw.test\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n',
  'GET /index.html?lang=de&x=%20y HTTP/1.1\r\nHost: gw.test\r\nConnection: keep-alive\r\nsec-ch-ua: "Chromium";v="128", "Not;A=Brand";v="24"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\nUpgrade-Insecure-Requests: 1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nSec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-User: ?1\r\nSec-Fetch-Dest: document\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: de-DE,de;q=0.9\r\nCookie: session=abc123; theme=dark\r\n\r\n',
  'GET /app.css HTTP/1.1\r\nHost: gw.test:8080\r\nUser-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:129.0) Gecko/20100101 Firefox/129.0\r\nAccept: text/css,*/*;q=0.1\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nReferer: http://gw.test:8080/\r\nConnection: keep-alive\r\nIf-Modified-Since: Tue, 01 Oct 2024 10:00:00 GMT\r\nIf-None-Match: "5f-61"\r\nPriority: u=2\r\n\r\n',
  'POST /login HTTP/1.1\r\nHost: gw.test\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 27\r\nOrigin: https://gw.test\r\n\r\nuser=anna&password=geheim12',
  'POST /api/items HTTP/1.1\r\naccept: application/json, text/plain, */*\r\ncontent-type: application/json\r\nuser-agent: axios/1.7.4\r\ncontent-length: 13\r\naccept-encoding: gzip, compress, deflate, br\r\nhost: gw.test\r\nConnection: keep-alive\r\n\r\n{"name":"ab"}',
  'POST /upload HTTP/1.1\r\nHost: gw.test\r\nUser-Agent: Go-http-client/1.1\r\nTransfer-Encoding: chunked\r\nContent-Type: application/octet-stream\r\nAccept-Encoding: gzip\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n',
  'PUT /files/a%20b.txt HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 4\r\nIf-Match: "v1"\r\n\r\nbody',
  'PATCH /items/7 HTTP/1.1\r\nHost: gw.test\r\nContent-Type: application/merge-patch+json\r\nContent-Length: 2\r\n\r\n{}',
  'DELETE /items/7 HTTP/1.1\r\nHost: gw.test\r\nAuthorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x-y_z\r\n\r\n',
  'HEAD / HTTP/1.1\r\nHost: gw.test\r\nUser-Agent: Wget/1.21\r\n\r\n',
  'OPTIONS /api HTTP/1.1\r\nHost: gw.test\r\nOrigin: https://app.test\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a,content-type\r\n\r\n',
  'GET /healthz HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\nConnection: close\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n',
  'GET /a HTTP/1.1\r\nHost: gw.test\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Amzn-Trace-Id: Root=1-67-9\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n',
  'GET /a HTTP/1.1\r\nX-Real-IP: 192.0.2.7\r\nX-Forwarded-For: 192.0.2.7, 10.0.0.1\r\nX-Forwarded-Host: gw.test\r\nForwarded: for=192.0.2.7;proto=https\r\nX-Request-Id: 0a1b2c3d\r\nHost: gw.test\r\n\r\n',
  'GET /a HTTP/1.1\r\nhost:gw.test\r\naccept:  */*  \r\nx-empty:\r\n\r\n',
  'GET /download HTTP/1.1\r\nHost: gw.test\r\nRange: bytes=0-1023\r\nIf-Range: "v1"\r\n\r\n',
  'GET /caf%C3%A9 HTTP/1.1\r\nHost: gw.test\r\nX-Name: caf\xc3\xa9\r\nX-Latin: caf\xe9\r\n\r\n',
  `GET /long?${'q=1&'.repeat(200)} HTTP/1.1\r\nHost: gw.test\r\nCookie: ${'c=abcdefgh; '.repeat(150)}\r\n\r\n`,
  'POST /rpc HTTP/1.1\r\nHost: gw.test\r\nContent-Type: application/grpc-web+proto\r\nX-Grpc-Web: 1\r\nContent-Length: 5\r\n\r\n\0\0\0\0\0',
  'POST /empty HTTP/1.1\r\nHost: gw.test\r\nContent-Length: 0\r\n\r\n',
  'POST /trailers HTTP/1.1\r\nHost: gw.test\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n0\r\nX-Checksum: 900150983cd24fb0\r\n\r\n',
]

/** Responses as application servers, proxies and caches give them. */
export const ORDINARY_RESPONSES: readonly string[] = [
  'HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 5\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nServer: nginx/1.26.1\r\nDate: Mon, 23 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n',
  'HTTP/1.1 404 Not Found\r\ncontent-length: 9\r\ncontent-type: text/plain\r\n\r\nnot found',
  'HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: *\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=60\r\n\r\n',
  'HTTP/1.1 302 Found\r\nLocation: /login\r\nSet-Cookie: a=b; Path=/\r\nSet-Cookie: c=d; HttpOnly\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 200\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: 2\r\n\r\n{}',
  'HTTP/1.1 500 Internal Server Error\r\nConnection: close\r\nContent-Length: 4\r\n\r\noops',
  'HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.12.3\r\nContent-type: text/plain\r\nContent-Length: 2\r\n\r\nhi',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Server-Timing\r\n\r\n4\r\nabcd\r\n0\r\nServer-Timing: db;dur=5\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nLocation: /items/8\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
]
