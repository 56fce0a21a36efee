import t from 'tap'
import { isInContainer } from '../../lib/platform/container.ts'

t.test('a container is known by the marks of its engine, or by its control groups', async (t) => {
  const cgroup = (text: string) => ({ proc: { self: { cgroup: text } } })
  t.ok(isInContainer(t.testdir({ '.dockerenv': '' })))
  t.ok(isInContainer(t.testdir({ run: { '.containerenv': '' } })))
  t.ok(isInContainer(t.testdir(cgroup('12:cpu:/kubepods/burstable/pod1/abc\n'))))
  t.ok(isInContainer(t.testdir(cgroup('0::/system.slice/docker-abc.scope\n'))))
  t.notOk(isInContainer(t.testdir(cgroup('0::/user.slice/user-1000.slice/session-1.scope\n'))))
  t.notOk(isInContainer(t.testdir({})), 'a system without /proc')
})
