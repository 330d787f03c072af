/// An actor's queue: in, out, to the worker that has the lease or to one that may want it.
enum Mailboxes {
    static let source = #"""
        local function mailboxKey(actor)
          actor.mailbox = actor.mailbox or base .. ':mailbox:' .. actor.key
          return actor.mailbox
        end

        -- A stored envelope: `header` is what scripts read of it, `body` is the envelope as it travels.
        local function entryOf(item)
          return {
            sequence = tonumber(string.sub(item[1], 1, -3)), packed = item[2][2],
            header = cmsgpack.unpack(item[2][2]), body = item[2][4],
          }
        end

        local function readEntry(actor, sequence)
          forgetGone(actor)
          local id = itemID(sequence)
          local item = call('XRANGE', mailboxKey(actor), id, id)[1]
          return item and entryOf(item)
        end

        local function readQueue(actor, after, count)
          forgetGone(actor)
          local items = call('XRANGE', mailboxKey(actor), itemID(after + 1), '+', 'COUNT', count)
          local entries = {}
          for index, item in ipairs(items) do entries[index] = entryOf(item) end
          return entries
        end

        local function attemptsOf(actor, sequence)
          return actor.live.attempts and actor.live.attempts[text(sequence)] or 0
        end

        local function setAttempts(actor, sequence, count)
          local live = actor.live
          live.attempts = live.attempts or {}
          live.attempts[text(sequence)] = count
          if not next(live.attempts) then live.attempts = nil end
          actor.isChanged = true
        end

        local function dequeue(entry, actor)
          local live = actor.live
          live.count = live.count - 1
          live.size = live.size - entry.header.size
          if live.attempts then setAttempts(actor, entry.sequence, nil) end
          leftCount = leftCount + 1
          actor.isChanged, entry.isGone = true, true
          -- An empty stream would stay behind as a key.
          if live.count == 0 then
            call('DEL', mailboxKey(actor))
            actor.gone = nil
          else
            actor.gone = actor.gone or {}
            actor.gone[#actor.gone + 1] = itemID(entry.sequence)
          end
        end

        local function hasRoom(actor, count, size, factor)
          local live, fixed = actor.live, actor.fixed
          return live.count + live.dead + count <= fixed.countMax * factor
            and live.size + size <= fixed.sizeMax * factor
        end

        -- Tells the clients that were refused that there is room, each once for each refusal.
        local function announceRoom(actor)
          local live = actor.live
          if not live.untold or not hasRoom(actor, 1, 1, 1) then return end
          local untold = call('LRANGE', base .. ':untold:' .. actor.key, 0, -1)
          call('DEL', base .. ':untold:' .. actor.key)
          live.untold, actor.isChanged = nil, true
          for _, client in ipairs(untold) do post(client, 'room', actor.fixed.id) end
        end

        local function isExpired(header) return header.due and header.due < now end

        local function expire(entry, actor)
          dequeue(entry, actor)
          unpin(entry.header.refs)
          finish(entry.header.id, 'expired')
          announceRoom(actor)
        end

        -- Envelopes that were under way when a worker died are delivered one at a time.
        local function windowOf(actor)
          local live = actor.live
          if not live.suspect then return live.lease.window end
          local first = readQueue(actor, 0, 1)[1]
          if first and first.sequence <= live.suspect then return 1 end
          live.suspect, actor.isChanged = nil, true
          return live.lease.window
        end

        -- Marks envelopes as outstanding, up to the window; expired ones end instead. `fresh` was just appended: if it
        -- is all that is left to deliver, it need not be read again; nor `first`, the first ones.
        local function takeDeliverable(actor, fresh, first)
          local live, taken = actor.live, {}
          local lease = live.lease
          if not lease or live.paused then return taken end
          while lease.outstanding < live.count do
            local room = windowOf(actor) - lease.outstanding
            if room <= 0 then break end
            local isLast = fresh and lease.outstanding == live.count - 1
            local entries = isLast and { fresh } or first or readQueue(actor, lease.upTo, room)
            first = nil
            if #entries == 0 then break end
            for _, entry in ipairs(entries) do
              if isLeaving(actor) and entry.sequence > (live.begun or 0) then return taken end
              if isExpired(entry.header) then
                expire(entry, actor)
              else
                lease.outstanding, lease.upTo = lease.outstanding + 1, entry.sequence
                taken[#taken + 1] = entry
              end
              actor.isChanged = true
            end
          end
          return taken
        end

        local updateReadiness

        local function deliverMore(actor, fresh)
          local lease = actor.live.lease
          if not lease then return end
          if lease.outstanding >= actor.live.count then return isLeaving(actor) and updateReadiness(actor) end
          for _, entry in ipairs(takeDeliverable(actor, fresh)) do
            local turn = string.format('%d %d %d %d', lease.epoch, entry.sequence, attemptsOf(actor, entry.sequence),
              entry.header.cleared or 0)
            deliver(lease.worker, 'envelope', actor.fixed.id, 'turn', turn, 'body', entry.body)
          end
          if isLeaving(actor) then updateReadiness(actor) end
        end

        -- Ends the lease against the worker's will, and tells it.
        local function voidActivation(actor)
          local lease = actor.live.lease
          if not lease then return end
          deliver(lease.worker, 'stop', actor.fixed.id, 'epoch', lease.epoch)
          endLease(actor)
        end

        -- Hands an actor that is to leave, and of which nothing has begun, to the endpoint. A paused one waits until it
        -- is resumed.
        local function leaveIfDone(actor)
          local live = actor.live
          if not isLeaving(actor) or live.paused or (live.lease and live.lease.outstanding > 0) then return end
          local first = live.count > 0 and readQueue(actor, 0, 1)[1]
          if first and first.sequence <= (live.begun or 0) then return end
          voidActivation(actor)
          if live.readySince then call('ZREM', base .. ':ready:' .. queueOf(actor), actor.key) end
          if live.delayedUntil then call('ZREM', base .. ':due:delays', actor.key) end
          live.readySince, live.delayedUntil, live.move.phase, actor.isChanged = nil, nil, 'away', true
          for _, name in ipairs(live.timers and call('HKEYS', base .. ':timers:' .. actor.key) or {}) do
            call('ZREM', base .. ':due:timers', actor.key .. '\0' .. name)
          end
        end

        -- Wakes the next worker in turn that has room and is not woken already; looks at no more than four.
        local function ring(queue)
          if quietRings[queue] then return end
          flushGranted()
          local key = base .. ':ring:' .. queue
          local count = call('LLEN', key)
          hostedQueues[queue] = count > 0
          for _ = 1, math.min(4, count) do
            local worker = call('LMOVE', key, key, 'LEFT', 'RIGHT')
            local fields = call('HMGET', base .. ':worker:' .. worker, 'max', 'rung')
            local room = tonumber(fields[1]) - call('ZCARD', base .. ':held:' .. worker)
            if room > 0 and fields[2] ~= '1' then
              call('HSET', base .. ':worker:' .. worker, 'rung', '1')
              deliver(worker, 'ready', '')
              return
            end
          end
          -- All were looked at, and are in their order again.
          quietRings[queue] = count <= 4
        end

        -- Puts the actor among the ready ones, or takes it out, as its mailbox and lease have it.
        function updateReadiness(actor)
          leaveIfDone(actor)
          local live, queue = actor.live, queueOf(actor)
          local isReady = not live.lease and not live.paused and not live.delayedUntil and hasWork(actor)
          if isReady and not live.readySince then
            live.readySince, actor.isChanged = now, true
            call('ZADD', base .. ':ready:' .. queue, now, actor.key)
            ring(queue)
          elseif not isReady and live.readySince then
            live.readySince, actor.isChanged = nil, true
            call('ZREM', base .. ':ready:' .. queue, actor.key)
          end
        end

        -- Appends to the mailbox, and passes on to the worker that holds the lease or rings one that could.
        local function enqueue(packed, header, body, actor, isNoted)
          local live = actor.live
          local sequence = live.last + 1
          call('XADD', mailboxKey(actor), itemID(sequence), 'h', packed, 'b', body)
          live.last, live.count, live.size = sequence, live.count + 1, live.size + header.size
          enteredCount, actor.isChanged = enteredCount + 1, true
          if header.refs then pin(header.refs) end
          if not isNoted then savePending(header.id, pendingOf(header, sequence)) end
          if live.lease then
            deliverMore(actor, { sequence = sequence, packed = packed, header = header, body = body })
          end
          if live.move or not (live.lease or live.readySince) then updateReadiness(actor) end
          return sequence
        end

        """#
}
