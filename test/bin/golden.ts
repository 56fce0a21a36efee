/** Expected output kept in a file; `UPDATE=1` rewrites it. */
import { readFileSync, writeFileSync } from 'node:fs'
import type { Test } from 'tap'

export function checkGolden(t: Test, path: string, actual: string): void {
  if (process.env.UPDATE === '1') writeFileSync(path, actual)
  t.equal(actual, readFileSync(path, 'utf8'), path)
}
