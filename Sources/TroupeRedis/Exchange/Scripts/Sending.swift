/// Sends and registrations of callers.
enum Sending {
    static let send = #"""
        -- Notes that a client waits for room; beyond the bound, in the place of one that was told and has not come
        -- back.
        local function refuse(client, actor)
          local live = actor.live
          local blocked, untold = base .. ':blocked:' .. actor.key, base .. ':untold:' .. actor.key
          local isKnown = live.blocked and call('LPOS', blocked, client)
          if not isKnown and (live.blocked or 0) >= limits.blockedClientsMax then
            local gone
            for _, other in ipairs(call('LRANGE', blocked, 0, -1)) do
              if not call('LPOS', untold, other) then
                gone = other
                break
              end
            end
            if not gone then return end
            call('LREM', blocked, 1, gone)
            live.blocked = live.blocked - 1
          end
          if not isKnown then
            call('RPUSH', blocked, client)
            live.blocked = (live.blocked or 0) + 1
          end
          if not call('LPOS', untold, client) then call('RPUSH', untold, client) end
          live.untold, actor.isChanged = true, true
        end

        local function forgive(client, actor)
          local live = actor.live
          if call('LREM', base .. ':blocked:' .. actor.key, 1, client) == 0 then return end
          live.blocked, actor.isChanged = live.blocked - 1, true
          if live.blocked == 0 then live.blocked = nil end
          call('LREM', base .. ':untold:' .. actor.key, 1, client)
          if call('EXISTS', base .. ':untold:' .. actor.key) == 0 then live.untold = nil end
        end

        -- The answer for an id that was seen before.
        local function known(header, entry)
          if not entry then return nil end
          local print = header.print or '0'
          local differs = entry.fingerprint ~= print and entry.fingerprint ~= '0' and print ~= '0'
          if entry.target ~= header.to or differs then return { 'mismatch' } end
          if header.reply and not entry.status then watch(header.id, entry, header.reply) end
          return { 'known', entry.status or 'pending', entry.payload or '' }
        end

        -- Why an envelope cannot be taken, and whether its client is to be told when there is room.
        local function refusalOf(header, actor, client, isResuming)
          if not actor then return { 'noactor' } end
          if header.cyclic and not actor.fixed.reentrant then return { 'deadlock' } end
          if header.size > actor.fixed.sizeMax then return { 'large', actor.fixed.sizeMax } end
          if actor.live.blocked and not isResuming and call('LPOS', base .. ':blocked:' .. actor.key, client) then
            return { 'full' }
          end
          if not hasRoom(actor, 1, header.size, 1) then return { 'full' }, true end
          return nil
        end

        local function send(packed, body, client, isResuming)
          local header = cmsgpack.unpack(packed)
          if header.size > limits.envelopeSizeBytesMax then return { 'large', limits.envelopeSizeBytesMax } end
          local actor = loadActor(keyOf(header.to))
          local refusal, mustWait = refusalOf(header, actor, client, isResuming)
          if refusal then
            local answer = known(header, liveOutcome(header.id))
            if mustWait and not answer then refuse(client, actor) end
            return answer or refusal
          end
          local answer = known(header, notePending(header, actor.live.last + 1))
          if answer then return answer end
          if actor.live.blocked then forgive(client, actor) end
          local sequence = enqueue(packed, header, body, actor, true)
          local isHosted = actor.live.lease or call('LLEN', base .. ':ring:' .. queueOf(actor)) > 0
          return { 'accepted', sequence, isHosted and 1 or 0 }
        end

        function serve.send()
          local answers = {}
          for index = 1, request.count do
            answers[index] = send(blob(2 * index - 1), blob(2 * index), request.client, request.resuming and index == 1)
          end
          return answers
        end
        """#

    static let callers = #"""
        local operations = {}

        local function make(key)
          local fixed = request.fixed
          fixed.incarnation, fixed.created = nextCounter(), now
          local live = { last = 0, count = 0, size = 0, dead = 0, wants = request.eager or nil,
            refers = #request.refs > 0 or nil }
          call('HSET', base .. ':actor:' .. key, 'fixed', cmsgpack.pack(fixed), 'live', cmsgpack.pack(live),
            'about', blob(1), 'state', blob(2), 'refs', cmsgpack.pack(request.refs))
          actors[key] = { key = key, fixed = fixed, live = live, isChanged = true }
          call('ZADD', base .. ':actors', 0, key)
          for _, label in ipairs(fixed.labels) do call('ZADD', base .. ':label:' .. label, 0, key) end
          pin(request.refs)
          updateReadiness(actors[key])
        end

        function operations.register()
          if loadActor(request.key) then return 'existed' end
          make(request.key)
          return 'created'
        end

        local function refusalOf(there)
          if not there.live.move or there.live.move.phase ~= 'moved' then
            return 'there is an actor ' .. there.key .. ' already'
          end
          return there.key .. ' was moved from there, and what it is still sent there is forwarded: stop that record '
            .. 'when nothing waits in its mailbox, and move again'
        end

        -- Makes an actor that comes from another site; asked again for the same move, answers alike.
        function operations.adopt()
          local known = liveOutcome(request.call)
          if known and known.status == 'deadLettered' then return { known.payload } end
          local there = loadActor(request.key)
          if there then
            if there.fixed.arrival == request.fixed.arrival then return {} end
            local reason = refusalOf(there)
            savePending(request.call, { fingerprint = '0', target = there.fixed.id, sequence = 0, watchers = {} })
            finish(request.call, 'deadLettered', reason)
            return { reason }
          end
          make(request.key)
          local actor = loadActor(request.key)
          for _, change in ipairs(request.timers) do applyTimer(change, actor) end
          return {}
        end

        -- The queued envelope of a call that no worker has.
        local function waitingEntry(entry)
          local actor = loadActor(keyOf(entry.target))
          local queued = actor and readEntry(actor, entry.sequence)
          local isOutstanding = queued and actor.live.lease and queued.sequence <= actor.live.lease.upTo
          return actor, queued, isOutstanding
        end

        -- Ends a call whose deadline passed in the queue, so that its outcome is decided also while nobody runs its
        -- actor.
        local function expireIfOverdue(id)
          local entry = liveOutcome(id)
          if not entry or entry.status then return end
          local actor, queued, isOutstanding = waitingEntry(entry)
          if not queued or isOutstanding or not isExpired(queued.header) then return end
          expire(queued, actor)
          updateReadiness(actor)
        end

        function operations.outcome()
          expireIfOverdue(request.id)
          local entry = liveOutcome(request.id)
          if not entry then return { 'unknown', '' } end
          if request.watcher and not entry.status then watch(request.id, entry, request.watcher) end
          return { entry.status or 'pending', entry.payload or '' }
        end

        function operations.cancel()
          local entry = liveOutcome(request.id)
          if not entry then return 'unknown' end
          if entry.status then return 'finished' end
          local actor, queued, isOutstanding = waitingEntry(entry)
          if not queued then return 'finished' end
          if isOutstanding then
            local lease = actor.live.lease
            deliver(lease.worker, 'cancel', actor.fixed.id, 'epoch', lease.epoch, 'call', request.id)
            return 'signalled'
          end
          dequeue(queued, actor)
          unpin(queued.header.refs)
          finish(request.id, 'cancelled')
          announceRoom(actor)
          updateReadiness(actor)
          return 'removed'
        end

        local function read(key)
          if request.after then call('XTRIM', key, 'MINID', request.after) end
          if request.max <= 0 then return {} end
          return call('XRANGE', key, request.after or '-', '+', 'COUNT', request.max)
        end

        function operations.receive()
          local items = read(base .. ':replies:' .. request.client)
          if #items > 0 then touch(request.client) end
          return items
        end

        function operations.deliveries()
          if call('EXISTS', base .. ':worker:' .. request.worker) == 0 then return false end
          return read(base .. ':lane:' .. request.worker)
        end

        function operations.hold()
          local untilTime = now + request.duration
          for _, id in ipairs(request.ids) do
            -- To end a hold on what is not known, or is garbage, is to do it again: it must not be garbage twice.
            if untilTime > now or loadObject(id) then hold(id, untilTime) end
          end
          return 1
        end

        function operations.collected()
          for _, id in ipairs(request.ids) do call('ZREM', base .. ':garbage', id) end
          return 1
        end

        function serve.callers() return operations[request.operation]() end
        """#
}
