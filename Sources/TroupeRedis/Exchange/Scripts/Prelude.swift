/// What every function begins with: the request, the time, and actors as records that are read once and written once.
///
/// The functions are `MailboxMachine` again, function by function and under the same names; read them side by side.
enum Prelude {
    static let source = #"""
        -- Of one run: its arguments, the first of which is the time of a clock that a test holds, or empty.
        local call, base, arguments, request, now
        local actors, touched, goneWorkers, hostedQueues, quietRings
        local enteredCount, leftCount, deadLetterDelta
        -- Completions of calls, in order, until they are written down.
        local completed
        -- Leases that were given to one worker from one queue, until they are written down where it says who holds what;
        -- and the last epoch or incarnation that was given out, if there were several.
        local granted, lastCounter
        -- How far the shard has come, by counts that only grow; of each, what this run made of it. A client that has
        -- seen more than there is knows that the shard went back in time.
        local marks

        local function text(number) return string.format('%.0f', number) end

        -- The id of an item in a mailbox.
        local function itemID(sequence) return string.format('%d-0', sequence) end

        local function readClock(held, isReader)
          if held == '' then
            local time = call('TIME')
            return time[1] * 1000 + math.floor(time[2] / 1000)
          end
          -- It does not go back, whoever passes it.
          local time = math.max(tonumber(held), tonumber(call('HGET', base .. ':meta', 'now') or held))
          if not isReader then call('HSET', base .. ':meta', 'now', text(time)) end
          return time
        end

        local function begin(keys, given, isReader)
          call, base, arguments = redis.call, keys[1], given
          request = cmsgpack.unpack(given[2])
          now = readClock(given[1], isReader)
          actors, touched, goneWorkers, completed, hostedQueues, quietRings = {}, {}, {}, {}, {}, {}
          granted, lastCounter = nil, nil
          enteredCount, leftCount, deadLetterDelta = 0, 0, 0
          marks = { false, false, false, false }
          limits.outcomeKeyRetention = given[1] == '' and limits.retentionMin or limits.retentionHeld
        end

        -- A large part of the request, by its number.
        local function blob(number) return arguments[number + 2] end

        -- The key of an actor's mailbox: its id, or that of its site if it is of another one.
        local function keyOf(id)
          local site = string.match(id, '^troupe://([^/]*)/')
          return site and '@site/' .. site or id
        end

        -- What was unpacked lately, which saves doing it again at each call: the same text has the same meaning, and
        -- nobody changes it.
        local unpacked, unpackedCount = {}, 0

        local function unpackFixed(packed)
          local fixed = unpacked[packed]
          if fixed then return fixed end
          if unpackedCount >= 1000 then unpacked, unpackedCount = {}, 0 end
          fixed = cmsgpack.unpack(packed)
          unpacked[packed], unpackedCount = fixed, unpackedCount + 1
          return fixed
        end

        local function keepActor(key, fields)
          local actor = fields[1] and { key = key, fixed = unpackFixed(fields[1]), live = cmsgpack.unpack(fields[2]) }
          actors[key] = actor
          return actor
        end

        -- An actor, or false. `fixed` is what it was registered with, `live` is what changes.
        local function loadActor(key)
          local actor = actors[key]
          if actor ~= nil then return actor end
          return keepActor(key, call('HMGET', base .. ':actor:' .. key, 'fixed', 'live'))
        end

        -- One of which nothing was read in this run, with what its worker needs.
        local function loadWhole(key)
          local fields = call('HMGET', base .. ':actor:' .. key, 'fixed', 'live', 'about', 'state')
          local actor = keepActor(key, fields)
          actor.about, actor.stored = fields[3], fields[4]
          return actor
        end

        -- Further on.
        local saveCompletions, flushGranted

        -- A command for many values, so many at a time as Lua can pass on; gives its last answer.
        local function callForAll(command, key, values)
          local answer
          for first = 1, #values, 1000 do
            answer = call(command, key, unpack(values, first, math.min(first + 999, #values)))
          end
          return answer
        end

        -- Takes out of the mailbox what has been dequeued.
        local function forgetGone(actor)
          if not actor.gone then return end
          callForAll('XDEL', base .. ':mailbox:' .. actor.key, actor.gone)
          actor.gone = nil
        end

        -- Notes that a worker holds a lease; a run that gives out many writes that down for all of them at once, before
        -- anything looks there.
        local function grant(worker, queue, key)
          if granted and (granted.worker ~= worker or granted.queue ~= queue) then flushGranted() end
          granted = granted or { worker = worker, queue = queue, count = 0, members = {} }
          granted.count = granted.count + 1
          granted.members[2 * granted.count - 1], granted.members[2 * granted.count] = 0, key
        end

        function flushGranted()
          local leases = granted
          if not leases then return end
          granted = nil
          callForAll('ZADD', base .. ':held:' .. leases.worker, leases.members)
          call('HINCRBY', base .. ':worker:' .. leases.worker, 'queue:' .. leases.queue, leases.count)
          call('HINCRBY', base .. ':active', leases.queue, leases.count)
        end

        -- Writes back what has changed.
        local function save()
          local hasChanged = false
          if lastCounter then call('HSET', base .. ':meta', 'counter', text(lastCounter)) end
          for key, actor in pairs(actors) do
            if actor and actor.isChanged then
              hasChanged = true
              forgetGone(actor)
              call('HSET', base .. ':actor:' .. key, 'live', cmsgpack.pack(actor.live), unpack(actor.state or {}))
            end
          end
          if enteredCount > 0 then marks[1] = call('HINCRBY', base .. ':meta', 'entered', enteredCount) end
          if leftCount > 0 then marks[2] = call('HINCRBY', base .. ':meta', 'left', leftCount) end
          -- What neither came nor went with an envelope has a count of its own.
          if hasChanged and not (marks[1] or marks[2] or marks[4]) then
            marks[3] = call('HINCRBY', base .. ':meta', 'acts', 1)
          end
          if deadLetterDelta ~= 0 then call('HINCRBY', base .. ':meta', 'dead', deadLetterDelta) end
          if #completed > 0 then saveCompletions() end
          for client in pairs(touched) do call('PEXPIRE', base .. ':replies:' .. client, limits.clientRetention) end
        end

        -- Raises again what was caught. An error of the server keeps its first word; a string would get another beginning.
        local function raise(problem) error(string.match(problem, '^%u+ ') and { err = problem } or problem) end

        -- What is done is written back also when another program's key ends the script half-way: records and mailboxes
        -- must not tell different stories.
        local function run(body)
          local isDone, reply = pcall(body)
          local isNoted, problem = pcall(flushGranted)
          save()
          if not isDone then raise(reply) end
          if not isNoted then raise(problem) end
          return { reply, unpack(marks) }
        end

        -- Below this no epoch begins after a loss: more than any that were given out before, as far as the clock can
        -- tell.
        local function counterFloor() return arguments[1] == '' and now * 1024 or 0 end

        -- Source of epochs and incarnations. A fresh shard begins at the floor, so a count of one means that the
        -- counter was lost under us.
        local function nextCounter()
          if marks[4] then
            lastCounter = marks[4] + 1
            marks[4] = lastCounter
            return lastCounter
          end
          local counter = call('HINCRBY', base .. ':meta', 'counter', 1)
          if counter == 1 and counterFloor() > 0 then
            counter = counterFloor()
            call('HSET', base .. ':meta', 'counter', text(counter))
          end
          marks[4] = counter
          return counter
        end

        local function deliver(worker, ...) call('XADD', base .. ':lane:' .. worker, '*', ...) end

        -- Keeps a client's reply mailbox for a while: under a clock that a test holds by an agenda, as the machine
        -- does.
        local function touch(client)
          if arguments[1] == '' then
            touched[client] = true
          else
            call('ZADD', base .. ':due:clients', now + limits.clientRetention, client)
          end
        end

        local function post(client, ...)
          touch(client)
          call('XADD', base .. ':replies:' .. client, 'MAXLEN', limits.receiptsMax, '*', ...)
        end

        """#
}
