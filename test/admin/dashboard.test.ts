/** The dashboard as the admin listener serves it, and its pages in Chromium over a whole gateway. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { NO_CHROMIUM, openPage, startChromium } from '../helpers/chromium.ts'
import { endpointsOf, runGateway, startEchoes, visit } from '../helpers/running-gateway.ts'
import { until } from '../helpers/until.ts'

t.setTimeout(240_000)

const MANIFESTS = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  tls: [{hosts: [shop.example], secretName: missing}]
  rules:
    - host: shop.example
      http:
        paths:
          - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: dead}
spec: {ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: dead, annotations: {portico.dev/maintenance: "true"}}
spec:
  rules:
    - {host: dead.example, http: {paths: [{path: /, pathType: Exact, backend: {service: {name: dead, port: {number: 80}}}}]}}
`

async function start(t: Test, flags: Readonly<Record<string, string>> = {}) {
  const upstreams = await startEchoes(t, 'web')
  const endpoints = { ...endpointsOf(upstreams), dead: [9] }
  const running = await runGateway(t, MANIFESTS, {
    endpoints,
    flags: { 'admin.enabled': 'true', 'admin.port': '0', 'admin.address': '127.0.0.1', ...flags },
  })
  return { running, upstreams, url: `http://127.0.0.1:${running.admin}/dashboard/` }
}

async function ask(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers, redirect: 'manual' })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

t.test('a browser that asks for / is led to the dashboard, and curl gets the list', async (t) => {
  const { url } = await start(t)
  const browser = await ask(new URL('/', url).href, { accept: 'text/html,*/*' })
  t.equal(browser.status, 302)
  t.equal(browser.headers.get('location'), '/dashboard/')
  t.match((await ask(new URL('/', url).href, { accept: '*/*' })).text, /^Portico admin\n/)
  t.equal((await ask(new URL('/dashboard', url).href)).headers.get('location'), '/dashboard/')
})

t.test('the pages name nothing from elsewhere, are small, and nothing else of the folder is served', async (t) => {
  const { url } = await start(t)
  const index = await ask(url)
  t.equal(index.status, 200)
  t.match(index.headers.get('content-security-policy'), /default-src 'none'; script-src 'self'/)
  t.notMatch(index.text, /https?:|\bstyle=|<script>|javascript:/)
  const names = [...index.text.matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, name = '']) => name)
  t.equal(names.length, 3, 'a script, a style sheet and an icon')
  let transferred = Buffer.byteLength(index.text)
  for (const name of names) {
    const response = await fetch(url + name, { headers: { 'accept-encoding': 'gzip' } })
    t.equal(response.status, 200, name)
    t.equal(response.headers.get('content-encoding'), 'gzip')
    const plain = Buffer.from(
      await (await fetch(url + name, { headers: { 'accept-encoding': 'identity' } })).arrayBuffer(),
    )
    transferred += Number(response.headers.get('content-length'))
    t.same(Buffer.from(await response.arrayBuffer()), plain, 'the same, packed')
  }
  t.ok(transferred <= 200_000, `${transferred} bytes`)
  for (const name of ['licenses.md', '..%2fadmin.js', 'nothing.js']) {
    t.equal((await ask(url + name)).status, 404, name)
  }
})

t.test('with a token, the pages come without it and the figures do not', async (t) => {
  const { url } = await start(t, { 'admin.token': 'a-secret-of-tests' })
  t.equal((await ask(url)).status, 200)
  t.equal((await ask(new URL('/api/v1/overview', url).href)).status, 401)
})

t.test('in Chromium', { skip: NO_CHROMIUM }, async (t) => {
  const browser = await startChromium(t)
  const { running, upstreams, url } = await start(t, {
    'dns.enabled': 'true',
    'dns.port': '0',
    'dns.address': '127.0.0.1',
  })
  const pages = ['', 'routes', 'services', 'requests', 'certificates', 'configuration', 'dns']

  t.test(
    'every page is free of faults and, as axe-core sees it, usable by all, light, dark and on a phone',
    async (t) => {
      const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
      for (const look of [{}, { isDark: true }, { screen: { width: 390, height: 800 } }]) {
        const { page, faults } = await openPage(browser, url, look)
        for (const path of pages) {
          await show(page, path)
          // By the debugger: the page's own policy lets no script in.
          await page.evaluate(axe)
          const found = (await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")) as {
            violations: { id: string; nodes: { html: string }[] }[]
          }
          t.same(
            found.violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
            [],
            `${path} ${JSON.stringify(look)}`,
          )
          const isWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
          t.notOk(isWide, `${path} fits the screen`)
        }
        t.same(faults, [])
        await page.close()
      }
    },
  )

  t.test('Routes shows what is served, in order, and finds', async (t) => {
    const { page } = await openPage(browser, `${url}#/routes`)
    t.match(await readTable(page, 'Routes'), [
      ['dead.example/', 'Exact', 'default/dead:80', /^maintenance: 503/],
      ['shop.example/api', 'Prefix', 'default/api:80, HTTP to HTTPS', '', '0/s', '–', '–', 'unavailable'],
      ['shop.example/', 'Prefix', 'default/web:80, HTTP to HTTPS', '', '0/s', '–', '–', 'served'],
    ])
    await page.getByLabel('Find a route').fill('dead')
    t.equal((await readTable(page, 'Routes')).length, 1)
    await page.close()
  })

  t.test('Services shows endpoints with their state', async (t) => {
    const { page } = await openPage(browser, `${url}#/services`)
    t.match(await readTable(page, 'Endpoints'), [
      ['127.0.0.1:9', 'ready', '', 'default/dead:80'],
      [`127.0.0.1:${upstreams.web.port}`, 'ready', '', 'default/web:80'],
    ])
    await page.close()
  })

  t.test('Requests shows what was sent, and how one request went on', async (t) => {
    const { page } = await openPage(browser, `${url}#/requests`)
    await page.getByRole('button', { name: 'Pause' }).waitFor()
    for (const [asked, method] of [
      ['https://shop.example/x?token=of-a-client&a=1', 'POST'],
      ['https://shop.example/api/y', 'GET'],
      ['http://dead.example/', 'GET'],
      ['http://nobody.example/', 'GET'],
    ] as const) {
      await visit(running, asked, { method })
    }
    await page.locator('tbody tr', { hasText: 'nobody.example' }).waitFor()
    t.match(await readTable(page, 'Requests'), [
      ['404', 'GET nobody.example/', /PORTICO_REQ_NO_ROUTE$/, String, String, '–', '–', '127.0.0.1'],
      ['503', 'GET dead.example/', '', String, String, 'default/dead:80', '–'],
      ['503', 'GET shop.example/api/y', /^service "api" not found {2}PORTICO_UP_NO_SERVICE$/],
      [
        '200',
        'POST shop.example/x?token=***&a=1',
        '',
        String,
        String,
        'default/web:80',
        `127.0.0.1:${upstreams.web.port}`,
      ],
    ])
    await page.getByLabel('Status: 404, 5xx, >=400').fill('5xx')
    await page.locator('tbody tr', { hasText: 'nobody.example' }).waitFor({ state: 'detached' })
    t.equal((await readTable(page, 'Requests')).length, 2)
    await page.getByLabel('Status: 404, 5xx, >=400').fill('200')
    await page.locator('tbody tr', { hasText: '/x?token' }).getByRole('button').click()
    await page.locator('.timeline').waitFor()
    const steps = await page.locator('.timeline .name').allTextContents()
    t.match(steps, [
      ...['connection accepted', 'TLS handshake', 'head of the request', 'route found'],
      ...['try', 'connection', 'answer begins', 'end'],
    ])
    t.match(await page.locator('.facts').textContent(), /Endpoint127\.0\.0\.1:\d+/)
    await page.close()
  })

  t.test('Overview shows rates, and what is wrong', async (t) => {
    const { page } = await openPage(browser, url)
    await page.locator('.problems', { hasText: '1 error in the configuration' }).waitFor()
    for (let count = 0; count < 20; count++) await visit(running, 'https://shop.example/')
    await until(async () => /^[\d.]+\/s$/.test((await page.locator('.tile dd').first().textContent()) ?? ''))
    await until(async () => !/^0\/s$/.test((await page.locator('.tile dd').first().textContent()) ?? ''))
    t.match(await page.locator('.tile').nth(2).textContent(), /\d ms/)
    await page.locator('canvas').first().waitFor()
    await show(page, 'routes')
    await until(async () =>
      (await readTable(page, 'Routes')).some(([path, , , , rate]) => path === 'shop.example/' && rate !== '0/s'),
    )
    await page.close()
  })

  t.test('Certificates says which certificate a host gets, and why it is the default', async (t) => {
    const { page } = await openPage(browser, `${url}#/certificates`)
    const row = (await readTable(page, 'Certificates')).find(([hosts]) => hosts === 'shop.example')
    t.match(row, ['shop.example', 'default'])
    t.match(row?.join(' '), /missing/)
    await page.close()
  })

  t.test(
    'Configuration shows problems with their line and a caret, reloads, and settings with their source',
    async (t) => {
      const { page } = await openPage(browser, `${url}#/configuration`)
      const problem = page.locator('article.problem', { hasText: 'PORTICO_REF_SERVICE_NOT_FOUND' }).first()
      t.match(await problem.textContent(), /service "api" not found/)
      t.match(await problem.locator('pre').textContent(), /name: api.*\n.*\^\^\^/)
      const settings = await readTable(page, 'Settings')
      t.match(
        settings.find(([name]) => name === 'admin.enabled'),
        ['admin.enabled', 'true', 'flag'],
      )
      await running.change(
        MANIFESTS.replace(
          '/api, pathType: Prefix, backend: {service: {name: api',
          '/new, pathType: Prefix, backend: {service: {name: web',
        ),
      )
      await page.locator('details.reload').first().click()
      t.match(await page.locator('details.reload').first().textContent(), /reloaded[\s\S]*\/new/)
      await show(page, '')
      t.match(await page.locator('.card', { hasText: 'What changed last' }).textContent(), /\+ shop\.example\/new/)
      await running.change('nothing: [of')
      await page.locator('.problems', { hasText: 'still serving' }).waitFor()
      await running.change(MANIFESTS)
      await page.locator('.problems', { hasText: 'still serving' }).waitFor({ state: 'detached' })
      await page.close()
    },
  )

  t.test('DNS shows the names that are answered', async (t) => {
    const { page } = await openPage(browser, `${url}#/dns`)
    t.match(await page.locator('main').textContent(), /cluster\.local/)
    await page.close()
  })

  t.test('10,000 routes scroll smoothly: only those in sight are there', async (t) => {
    const many = Array.from(
      { length: 10_000 },
      (_, index) =>
        `          - {path: /p${index}, pathType: Exact, backend: {service: {name: web, port: {number: 80}}}}`,
    )
    await running.change(MANIFESTS.replace('          - {path: /api,', `${many.join('\n')}\n          - {path: /api,`))
    const { page } = await openPage(browser, `${url}#/routes`)
    await page.getByRole('heading', { name: '10,003 routes' }).waitFor()
    const rows = page.locator('table[aria-label=Routes] tbody tr')
    t.ok((await rows.count()) < 100)
    await page.evaluate('scrollTo(0, document.body.scrollHeight / 2)')
    await page.locator('tr[aria-rowindex="5000"]').waitFor()
    t.ok((await rows.count()) < 100)
    await page.close()
  })
})

t.test('an open circuit is told', { skip: NO_CHROMIUM }, async (t) => {
  const browser = await startChromium(t)
  const { running, url } = await start(t, {
    'upstream.circuit.errorRate': '50',
    'upstream.circuit.minimumRequests': '2',
    'upstream.circuit.openTime': '1m',
    'upstream.tries': '1',
  })
  await running.change(MANIFESTS.replace(', annotations: {portico.dev/maintenance: "true"}', ''))
  for (let count = 0; count < 12; count++) await visit(running, 'http://dead.example/')
  const { page } = await openPage(browser, url)
  await page.locator('.problems', { hasText: 'The circuit of default/dead:80 is open' }).waitFor()
  await page.goto(`${url}#/services`)
  await page.locator('tbody tr', { hasText: 'circuit open in 1 process' }).waitFor()
})

t.test('a token is asked for once and kept for the tab', { skip: NO_CHROMIUM }, async (t) => {
  const browser = await startChromium(t)
  const { url } = await start(t, { 'admin.token': 'a-secret-of-tests' })
  const { page } = await openPage(browser, url)
  await page.getByLabel(/^Token of the admin listener/).fill('wrong')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByText('This token does not fit.').waitFor()
  await page.getByLabel(/^Token of the admin listener/).fill('a-secret-of-tests')
  await page.getByRole('button', { name: 'Open' }).click()
  await page.getByRole('heading', { name: 'What is wrong now' }).waitFor()
  await page.reload()
  await page.getByRole('heading', { name: 'What is wrong now' }).waitFor()
  t.equal(new URL(page.url()).search, '', 'the token stands in no address')
})

t.test('in Chromium, the overview warns of requests that fit no route', { skip: NO_CHROMIUM }, async (t) => {
  const { running, url } = await start(t)
  const { page } = await openPage(await startChromium(t), url)
  const warning = page.getByRole('link', { name: 'of the requests fit no route' })
  await until(async () => {
    await visit(running, 'http://nobody.example/')
    return (await warning.count()) > 0
  })
  t.equal(await warning.getAttribute('href'), '#/requests?status=4xx')
  await page.close()
})

/** Waits until the page is there, with all that it asked for. */
async function show(page: Page, path: string): Promise<void> {
  await page.evaluate(`location.hash = '#/${path}'`)
  await page.locator(`nav a[href="#/${path}"][aria-current]`).waitFor()
  await until(async () => (await page.getByText('…', { exact: true }).count()) === 0)
}

/** The rows of a table, as lists of texts; waits for the first. */
async function readTable(page: Page, label: string): Promise<string[][]> {
  const rows = page.locator(`table[aria-label=${label}] tbody tr`)
  await rows.first().waitFor()
  return rows.evaluateAll((all) =>
    all.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent?.trim() ?? '')),
  )
}
