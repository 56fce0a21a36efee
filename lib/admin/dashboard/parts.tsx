/** What the pages are made of. */
import type { ComponentChildren, JSX } from 'preact'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

export type Tone = 'good' | 'bad' | 'warn' | 'dim'

export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }): JSX.Element {
  return <span class={`badge ${tone}`}>{children}</span>
}

/** The tone of a state, by the words that the CLI has for it. */
export function toneOf(state: string): Tone {
  if (['served', 'ready', 'valid', 'open', 'serving', 'reloaded', 'answered'].includes(state)) return 'good'
  if (
    [
      'draining',
      'drained',
      'maintenance',
      'failing',
      'stale',
      'partly served',
      'expires soon',
      'starting',
      'partly reloaded',
      'half-open',
    ].includes(state)
  )
    return 'warn'
  return ['off', 'shadowed', ''].includes(state) ? 'dim' : 'bad'
}

export function toneOfStatus(status: number): Tone {
  return status >= 500 || status === 499 ? 'bad' : status >= 400 ? 'warn' : 'good'
}

export function Section({
  title,
  aside,
  children,
}: {
  title: string
  aside?: ComponentChildren
  children: ComponentChildren
}): JSX.Element {
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}

export function Failure({ failure }: { failure: Error | undefined }): JSX.Element | null {
  return failure ? (
    <p class="failure" role="alert">
      {failure.message}
    </p>
  ) : null
}

export type Column<T> = Readonly<{
  name: string
  /** The width in the grid's words. */
  width: string
  cell: (row: T) => ComponentChildren
  /** Numbers stand right. */
  isNumber?: boolean
}>

/** The height of a row in pixels, as `style.css` has it. */
const ROW = 38
/** The gap between two columns in rem, as `style.css` has it. */
const GAP = 0.75
/** Rows beside those in sight that are there already. */
const BESIDE = 12

/** A table of any length: only the rows in sight are there. */
export function Table<T>({
  label,
  columns,
  rows,
  keyOf,
  onPick,
  empty,
}: {
  label: string
  columns: readonly Column<T>[]
  rows: readonly T[]
  keyOf: (row: T) => string
  onPick?: ((row: T) => void) | undefined
  empty: string
}): JSX.Element {
  const box = useRef<HTMLElement>(null)
  const [range, setRange] = useState({ from: 0, to: 60 })
  const measure = () => {
    const { current } = box
    if (!current) return
    const above = Math.max(0, -current.getBoundingClientRect().top)
    const from = Math.max(0, Math.floor(above / ROW) - BESIDE)
    const to = from + Math.ceil(window.innerHeight / ROW) + 2 * BESIDE
    setRange((before) => (before.from === from && before.to === to ? before : { from, to }))
  }
  useLayoutEffect(measure, [rows.length])
  useEffect(() => {
    addEventListener('scroll', measure, { passive: true })
    addEventListener('resize', measure)
    return () => {
      removeEventListener('scroll', measure)
      removeEventListener('resize', measure)
    }
  }, [])
  const from = Math.min(range.from, Math.max(0, rows.length - 1))
  const seen = rows.slice(from, range.to)
  const grid = { gridTemplateColumns: columns.map(({ width }) => width).join(' ') }
  // A column is at least as wide as the first length of its width says, whatever is in it.
  const least = columns.reduce(
    (sum, { width }) => sum + Number.parseFloat(/[\d.]+(?=rem)/.exec(width)?.[0] ?? '0') + GAP,
    0,
  )
  if (rows.length === 0) return <p class="empty">{empty}</p>
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls must be reached by keyboard.
    <section class="scroll" ref={box} tabIndex={0} aria-label={label}>
      <table aria-label={label} aria-rowcount={rows.length + 1} style={{ minWidth: `${least}rem` }}>
        <thead>
          <tr aria-rowindex={1} style={grid}>
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" class={isNumber ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody
          style={{
            paddingTop: `${from * ROW}px`,
            paddingBottom: `${Math.max(0, rows.length - from - seen.length) * ROW}px`,
          }}
        >
          {seen.map((row, index) => (
            <tr key={keyOf(row)} class={onPick ? 'pick' : undefined} aria-rowindex={from + index + 2} style={grid}>
              {columns.map(({ name, cell, isNumber }, at) => (
                <td key={name} class={isNumber ? 'number' : undefined}>
                  {onPick && at === 0 ? (
                    <button type="button" class="plain" onClick={() => onPick(row)}>
                      {cell(row)}
                    </button>
                  ) : (
                    cell(row)
                  )}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Text that may be longer than its cell: whole in a tip. With `end` its end is what counts, as the line of a file. */
export function Clip({ text, end = false }: { text: string; end?: boolean }): JSX.Element {
  return (
    <span class={end ? 'clip end' : 'clip'} title={text}>
      <bdi>{text}</bdi>
    </span>
  )
}

export function Search({
  label,
  value,
  onInput,
  placeholder,
}: {
  label: string
  value: string
  onInput: (text: string) => void
  placeholder?: string
}): JSX.Element {
  return (
    <input
      type="search"
      aria-label={label}
      placeholder={placeholder ?? label}
      value={value}
      spellcheck={false}
      onInput={({ currentTarget }) => onInput(currentTarget.value)}
    />
  )
}

/** A button that does something to the gateway, and says what came of it. */
export function Act({ label, act }: { label: string; act: () => Promise<string> }): JSX.Element {
  const [said, setSaid] = useState('')
  const [isBusy, setBusy] = useState(false)
  const run = async () => {
    setBusy(true)
    try {
      setSaid(await act())
    } catch (error) {
      setSaid((error as Error).message)
    }
    setBusy(false)
  }
  return (
    <span class="act">
      <button type="button" disabled={isBusy} onClick={() => void run()}>
        {label}
      </button>
      <span role="status">{said}</span>
    </span>
  )
}
