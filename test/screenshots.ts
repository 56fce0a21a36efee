/** Makes the pictures of the dashboard that the README shows: `npm run screenshots`, with Chromium installed. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium } from 'playwright-core'
import { CHROMIUM, NO_CHROMIUM } from './helpers/chromium.ts'

const FOLDER = 'docs/images'
/** Until the plots have something to show, milliseconds. */
const WARM_UP_MS = 75_000
/** All of them together, bytes. */
const MOST = 300_000

if (NO_CHROMIUM) throw new Error(NO_CHROMIUM)
const demo = spawn(process.execPath, ['bin/portico', 'demo'], { stdio: ['ignore', 'ignore', 'pipe'] })
const screen = await new Promise<string>((resolve) => {
  let text = ''
  demo.stderr.setEncoding('utf8').on('data', (more: string) => {
    text += more
    if (text.includes('Ctrl-C ends the demo')) resolve(text)
  })
})
const url = /http:\/\/127\.0\.0\.1:\d+\/dashboard\//.exec(screen)![0]
const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
try {
  const open = async (colorScheme: 'light' | 'dark', path: string) => {
    const page = await browser.newPage({ viewport: { width: 1180, height: 720 }, colorScheme })
    await page.goto(`${url}#/${path}`)
    return page
  }
  const light = await open('light', '')
  const dark = await open('dark', 'requests')
  await sleep(WARM_UP_MS)
  await dark.locator('tbody tr', { hasText: '/visits/slow' }).first().getByRole('button').click()
  await dark.locator('.timeline').waitFor()
  let bytes = 0
  for (const [page, name] of [
    [light, 'dashboard-light'],
    [dark, 'dashboard-dark'],
  ] as const) {
    const path = `${FOLDER}/${name}.png`
    await page.screenshot({ path })
    bytes += readFileSync(path).length
  }
  if (bytes > MOST) throw new Error(`${bytes} bytes are more than ${MOST}`)
} finally {
  await browser.close()
  demo.kill('SIGTERM')
  await once(demo, 'exit')
}
