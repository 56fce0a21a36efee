/** Chromium as Debian has it, driven by playwright-core. */
import { existsSync } from 'node:fs'
import { type Browser, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'

const PATHS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Undefined where none is installed. */
export const CHROMIUM: string | undefined = PATHS.find((path) => existsSync(path))

/** Why a test is skipped; false where it is not. */
export const NO_CHROMIUM: string | false = CHROMIUM === undefined ? 'chromium is not installed' : false

export type Screen = Readonly<{ width: number; height: number }>

/** Closed with the test. */
export async function startChromium(t: Test): Promise<Browser> {
  // The sandbox needs rights that containers lack; what is shown is the test's own.
  const browser = await chromium.launch({ executablePath: CHROMIUM!, args: ['--no-sandbox'] })
  t.teardown(() => browser.close())
  return browser
}

/** A page, and all that its console says is wrong: scripts that fail, and what its Content-Security-Policy forbids. */
export async function openPage(
  browser: Browser,
  url: string,
  { screen = { width: 1300, height: 850 }, isDark = false }: { screen?: Screen; isDark?: boolean } = {},
): Promise<{ page: Page; faults: string[] }> {
  const page = await browser.newPage({ viewport: screen, colorScheme: isDark ? 'dark' : 'light' })
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(message.text())
  })
  await page.goto(url)
  return { page, faults }
}
