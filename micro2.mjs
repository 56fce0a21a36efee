const head = `User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: session=5f0c1b7a9d3e4c62; theme=dark; consent=1\r\nCache-Control: no-cache\r\nReferer: https://shop.example.com/products?page=2\r\n`
function fresh(text, i) { const b = Buffer.from(`GET ${i} \r\n${text}`, 'latin1'); const s = b.latin1Slice(0, b.length); return s.slice(s.indexOf('\n') + 1) }
const N = 500000
let sink = 0
function bench(name, f) {
  for (let i = 0; i < 50000; i++) f(i)
  const t = process.hrtime.bigint(); for (let i = 0; i < N; i++) f(i)
  console.log(name.padEnd(40), (Number(process.hrtime.bigint() - t) / N / 1000).toFixed(3), 'µs')
}
const pool = Array.from({length: 64}, (_, i) => fresh(head, i))
function walk2(lines) { let n = 0; for (let at = 0; at < lines.length;) { at = lines.indexOf('\r\n', at) + 2; n++ } return n }
function walk1(lines) { let n = 0; for (let at = 0; at < lines.length;) { at = lines.indexOf('\n', at) + 1; n++ } return n }
function rm(lines, names) {
  let kept = '', start = 0
  for (let at = 0; at < lines.length; ) {
    const end = lines.indexOf('\n', at) + 1
    for (let n = 0; n < names.length; n++) {
      const name = names[n]
      if (lines.charCodeAt(at + name.length) === 0x3a && lines.slice(at, at + name.length).toLowerCase() === name) { kept += lines.slice(start, at); start = end; break }
    }
    at = end
  }
  return start === 0 ? lines : kept + lines.slice(start)
}
const re = /(?:^|\n)(?:x-env):/i
bench('walk rn', (i) => { sink += walk2(pool[i & 63]) })
bench('walk n', (i) => { sink += walk1(pool[i & 63]) })
const names = ['x-env']
bench('rm', (i) => { sink += rm(pool[i & 63], names).length })
bench('regex test', (i) => { sink += re.test(pool[i & 63]) })
