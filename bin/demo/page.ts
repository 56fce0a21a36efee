/** The shop's page: shows which endpoint answers, and a WebSocket that stays open over reloads. */

export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Portico demo shop</title>
<style>
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
  h1 { font-weight: 600 }
  table { border-collapse: collapse; width: 100% }
  th, td { text-align: left; padding: .4rem 0; border-bottom: 1px solid #ddd }
  button { font: inherit; padding: .3rem .8rem }
  output { font-family: ui-monospace, monospace }
</style>
<h1>Portico demo shop</h1>
<p>This page comes from the Service <b>web</b>, the list from <b>api</b>, whose two endpoints take turns.</p>
<table><thead><tr><th>product<th>price</thead><tbody id="products"></tbody></table>
<p><button id="again">Ask again</button> answered by <output id="endpoint">…</output></p>
<p>WebSocket through the gateway: <output id="live">…</output></p>
<script>
  const show = (id, text) => { document.getElementById(id).textContent = text }
  async function load() {
    const { endpoint, products } = await (await fetch('/api/products')).json()
    show('endpoint', endpoint)
    document.getElementById('products').replaceChildren(...products.map(({ name, price }) => {
      const row = document.createElement('tr')
      for (const text of [name, price]) row.insertCell().textContent = text
      return row
    }))
  }
  function connect() {
    const socket = new WebSocket(location.origin.replace('http', 'ws') + '/api/live')
    socket.onmessage = ({ data }) => show('live', data)
    socket.onclose = () => { show('live', 'closed; connecting again'); setTimeout(connect, 1000) }
  }
  document.getElementById('again').onclick = load
  load()
  connect()
</script>
</html>
`
