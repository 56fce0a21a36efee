/** The dashboard: one page, whose part after # says what is shown. */
import { type ComponentType, render } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { ask, hasToken, Refused, setToken } from './api.ts'
import icon from './icon.svg'
import { traffic, useTraffic, useView, whenLocked } from './live.ts'
import { CertificatesPage } from './pages/certificates.tsx'
import { ConfigurationPage } from './pages/configuration.tsx'
import { DnsPage } from './pages/dns.tsx'
import { OverviewPage } from './pages/overview.tsx'
import { RequestsPage } from './pages/requests.tsx'
import { RoutesPage } from './pages/routes.tsx'
import { ServicesPage } from './pages/services.tsx'
import type { Overview } from './rows.ts'
import { applyTheme, nextTheme, readTheme, type Theme } from './theme.ts'

export type PageProps = Readonly<{ overview: Overview | undefined; query: URLSearchParams; theme: string }>

const PAGES: readonly Readonly<{ path: string; name: string; page: ComponentType<PageProps> }>[] = [
  { path: '', name: 'Overview', page: OverviewPage },
  { path: 'routes', name: 'Routes', page: RoutesPage },
  { path: 'services', name: 'Services', page: ServicesPage },
  { path: 'requests', name: 'Requests', page: RequestsPage },
  { path: 'certificates', name: 'Certificates', page: CertificatesPage },
  { path: 'configuration', name: 'Configuration', page: ConfigurationPage },
  { path: 'dns', name: 'DNS', page: DnsPage },
]

function readPlace(): Readonly<{ path: string; query: URLSearchParams }> {
  const [path = '', query = ''] = location.hash.replace(/^#\/?/, '').split('?', 2)
  return { path, query: new URLSearchParams(query) }
}

function usePlace() {
  const [place, setPlace] = useState(readPlace)
  useEffect(() => {
    const onChange = () => {
      setPlace(readPlace())
      scrollTo(0, 0)
    }
    addEventListener('hashchange', onChange)
    return () => removeEventListener('hashchange', onChange)
  }, [])
  return place
}

function Shell() {
  const { path, query } = usePlace()
  const { data: overview, failure } = useView<Overview>('overview')
  const { failure: trafficFailure } = useTraffic()
  const [theme, setTheme] = useState<Theme>(readTheme)
  const shown = PAGES.find((page) => page.path === path) ?? PAGES[0]!
  const { page: Page, name } = shown
  useEffect(() => {
    document.title = `${name} · Portico`
  }, [name])
  const state = failure ? 'not reached' : overview === undefined ? '' : overview.ready ? 'ready' : 'not ready'
  return (
    <>
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        Skip to the content
      </button>
      <header class="bar">
        <a class="brand" href="#/">
          <img src={icon} alt="" width="24" height="24" /> Portico
        </a>
        <nav aria-label="Pages">
          {PAGES.filter((page) => page.path !== 'dns' || overview?.dns).map((page) => (
            <a key={page.path} href={`#/${page.path}`} aria-current={page === shown ? 'page' : undefined}>
              {page.name}
            </a>
          ))}
        </nav>
        <span class={`state ${state === 'ready' ? 'good' : 'bad'}`} role="status">
          {state}
        </span>
        <button
          type="button"
          class="plain theme"
          onClick={() => {
            const next = nextTheme(theme)
            applyTheme(next)
            setTheme(next)
          }}
        >
          theme: {theme}
        </button>
      </header>
      <main id="main" tabIndex={-1}>
        <h1>{name}</h1>
        {(failure ?? trafficFailure) && (
          <p class="failure" role="alert">
            {failure
              ? `The gateway is not reached: ${failure.message}`
              : `No traffic is shown: ${trafficFailure?.message}`}
          </p>
        )}
        <Page overview={overview} query={query} theme={theme} />
      </main>
    </>
  )
}

function Lock({ onOpen }: { onOpen: () => void }) {
  const [said, setSaid] = useState(hasToken() ? 'This token does not fit.' : '')
  const submit = async (event: Event) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    setToken(String(form.get('token') ?? '').trim())
    try {
      await ask('overview')
      onOpen()
    } catch (error) {
      setToken('')
      const isRefused = error instanceof Refused && error.status === 401
      setSaid(isRefused ? 'This token does not fit.' : (error as Error).message)
    }
  }
  return (
    <main id="main" class="lock">
      <h1>Portico</h1>
      <form onSubmit={submit}>
        <label>
          Token of the admin listener (admin.token, or the file admin.tokenFile names)
          <input type="password" name="token" autocomplete="off" required />
        </label>
        <button type="submit">Open</button>
        <p role="alert">{said}</p>
      </form>
    </main>
  )
}

function App() {
  const [isLocked, setLocked] = useState(false)
  useEffect(() => whenLocked(() => setLocked(true)), [])
  useEffect(() => {
    if (isLocked) traffic.stop()
    else traffic.start()
  }, [isLocked])
  return isLocked ? <Lock onOpen={() => setLocked(false)} /> : <Shell />
}

applyTheme(readTheme())
render(<App />, document.getElementById('app')!)
