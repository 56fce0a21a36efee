/** Builds the dashboard beside the admin listener that serves it. */
import { realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'

// From where Vite itself stands: an install without the packages of the build has npm fetch Vite, and the rest beside it.
const { resolve } = createRequire(realpathSync(process.argv[1]))
const folderOf = (name) => dirname(resolve(`${name}/package.json`))

export default {
  root: import.meta.dirname,
  base: './',
  resolve: {
    alias: [
      { find: /^preact(?=\/|$)/, replacement: folderOf('preact') },
      { find: /^uplot(?=\/|$)/, replacement: folderOf('uplot') },
    ],
  },
  build: {
    outDir: '../../../dist/lib/admin/dashboard',
    emptyOutDir: true,
    target: 'es2022',
    assetsDir: '.',
    // A policy without `data:` and without inline scripts is what the listener sends.
    assetsInlineLimit: 0,
    modulePreload: false,
    license: { fileName: 'licenses.md' },
  },
}
