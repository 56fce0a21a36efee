/** Lines over time, by uPlot. */
import type { JSX } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import UPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

export type Line = Readonly<{ label: string; colour: string; values: readonly (number | null)[] }>

const HEIGHT = 170
/** Seconds that a plot spans at least. */
const LEAST_SPAN = 120

function colourOf(element: Element, name: string): string {
  return getComputedStyle(element).getPropertyValue(name).trim()
}

/** `summary` says in words what the lines show, for those who do not see them. `theme` has it drawn anew where the colours change. */
export function Chart({
  times,
  lines,
  unit,
  summary,
  theme,
}: {
  times: readonly number[]
  lines: readonly Line[]
  unit: (value: number) => string
  summary: string
  theme: string
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null)
  const plot = useRef<UPlot>(undefined)
  const shape = lines.map(({ label }) => label).join()
  useEffect(() => {
    const parent = box.current!
    const text = colourOf(parent, '--dim')
    const rule = { stroke: colourOf(parent, '--line'), width: 1 }
    const axis = { stroke: text, grid: rule, ticks: rule, font: '11px system-ui' }
    const made = new UPlot(
      {
        width: parent.clientWidth,
        height: HEIGHT,
        cursor: { y: false },
        legend: { live: true },
        scales: {
          x: { range: (_plot, min, max) => [Math.min(min, max - LEAST_SPAN), max] },
          y: { range: (_plot, _min, max) => [0, Math.max(max * 1.1, 1)] },
        },
        axes: [
          {
            ...axis,
            space: 70,
            values: (_plot, at) => at.map((second) => new Date(second * 1_000).toTimeString().slice(0, 8)),
          },
          { ...axis, size: 64, values: (_plot, at) => at.map(unit) },
        ],
        series: [
          { label: 'time', value: (_plot, at) => (at === null ? '' : new Date(at * 1_000).toTimeString().slice(0, 8)) },
          ...lines.map(({ label, colour }) => ({
            label,
            stroke: colourOf(parent, colour),
            width: 1.75,
            points: { show: false },
            value: (_plot: UPlot, value: number | null) => (value === null ? '–' : unit(value)),
          })),
        ],
      },
      [[], ...lines.map(() => [])],
      parent,
    )
    plot.current = made
    const watch = new ResizeObserver(() => made.setSize({ width: parent.clientWidth, height: HEIGHT }))
    watch.observe(parent)
    return () => {
      watch.disconnect()
      made.destroy()
    }
  }, [shape, theme])
  useEffect(() => {
    plot.current?.setData([[...times], ...lines.map(({ values }) => [...values])])
  })
  return <div class="chart" ref={box} role="img" aria-label={summary} />
}
