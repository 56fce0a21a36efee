/** Which directives of nginx may keep requests out: where one of them is not done, the routes are closed. */
import { findConditionVariable } from './snippet-condition.ts'
import { type Directive, parseSnippet } from './snippet-text.ts'

/**
 * Directives that refuse nothing. All that are not named here, known to nginx or not, count as guards: one that removes fields of
 * requests too, since endpoints may believe what clients write there.
 */
const HARMLESS: ReadonlySet<string> = new Set([
  'absolute_redirect',
  'access_log',
  'add_header',
  'break',
  'brotli',
  'brotli_comp_level',
  'brotli_types',
  'charset',
  'chunked_transfer_encoding',
  'client_body_buffer_size',
  'client_body_timeout',
  'client_header_buffer_size',
  'client_header_timeout',
  'client_max_body_size',
  'default_type',
  'error_log',
  'etag',
  'expires',
  'grpc_read_timeout',
  'grpc_send_timeout',
  'grpc_set_header',
  'gunzip',
  'gzip',
  'gzip_buffers',
  'gzip_comp_level',
  'gzip_disable',
  'gzip_http_version',
  'gzip_min_length',
  'gzip_proxied',
  'gzip_static',
  'gzip_types',
  'gzip_vary',
  'if_modified_since',
  'ignore_invalid_headers',
  'keepalive_requests',
  'keepalive_timeout',
  'large_client_header_buffers',
  'log_not_found',
  'more_clear_headers',
  'more_set_headers',
  'more_set_input_headers',
  'port_in_redirect',
  'proxy_buffer_size',
  'proxy_buffering',
  'proxy_buffers',
  'proxy_busy_buffers_size',
  'proxy_cache',
  'proxy_cache_bypass',
  'proxy_cache_key',
  'proxy_cache_lock',
  'proxy_cache_use_stale',
  'proxy_cache_valid',
  'proxy_connect_timeout',
  'proxy_cookie_domain',
  'proxy_cookie_flags',
  'proxy_cookie_path',
  'proxy_headers_hash_bucket_size',
  'proxy_headers_hash_max_size',
  'proxy_hide_header',
  'proxy_http_version',
  'proxy_ignore_client_abort',
  'proxy_ignore_headers',
  'proxy_max_temp_file_size',
  'proxy_next_upstream',
  'proxy_next_upstream_timeout',
  'proxy_next_upstream_tries',
  'proxy_no_cache',
  'proxy_pass_header',
  'proxy_read_timeout',
  'proxy_redirect',
  'proxy_request_buffering',
  'proxy_send_timeout',
  'proxy_set_header',
  'proxy_socket_keepalive',
  'proxy_ssl_name',
  'proxy_ssl_server_name',
  'rewrite',
  'rewrite_log',
  'send_timeout',
  'server_name_in_redirect',
  'server_tokens',
  'set',
  'sub_filter',
  'sub_filter_last_modified',
  'sub_filter_once',
  'sub_filter_types',
  'tcp_nodelay',
  'tcp_nopush',
  'underscores_in_headers',
])

/** What a request asks for: it goes elsewhere, whoever the client is. */
const URL_VARIABLES: ReadonlySet<string> = new Set([
  'host',
  'http_host',
  'http_x_forwarded_proto',
  'https',
  'pass_access_scheme',
  'request_filename',
  'request_uri',
  'scheme',
  'server_name',
  'uri',
])

/** True for a snippet that refuses nothing; one that cannot be read may refuse. */
export function refusesNothing(text: string): boolean {
  const read = parseSnippet(text)
  return !('message' in read) && !read.some((directive) => mayGuard(directive))
}

/** True if requests that the directive keeps out, or sends elsewhere, would reach endpoints without it. */
export function mayGuard(directive: Directive): boolean {
  const { name, words, block } = directive
  if (block === undefined) return !HARMLESS.has(name) && !(name === 'proxy_ssl_verify' && words.join() === 'off')
  if (name === 'location') return block.some((inner) => (inner.name === 'return' ? isRefusal(inner) : mayGuard(inner)))
  if (name !== 'if') return true
  const isOfUrl = URL_VARIABLES.has(findConditionVariable(words) ?? '')
  return block.some((inner) => isRefusal(inner) || (isAnswer(inner) ? !isOfUrl : mayGuard(inner)))
}

/** A code without a URL or a text for the client to go on with. */
function isRefusal({ name, words }: Directive): boolean {
  return name === 'return' && !/^(?:[23]\d\d$|https?:|\$scheme|\/)/.test(words[0] ?? '')
}

/** Clients are sent elsewhere, as to a login, or answered. */
function isAnswer({ name, words }: Directive): boolean {
  return name === 'return' || (name === 'rewrite' && /^(?:permanent|redirect)$/.test(words[2] ?? ''))
}
