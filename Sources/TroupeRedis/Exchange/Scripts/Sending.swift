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
        local function known(packed, entry)
          if not entry then return nil end
          local header = cmsgpack.unpack(packed)
          local print = header.print or '0'
          local differs = entry.fingerprint ~= print and entry.fingerprint ~= '0' and print ~= '0'
          if entry.target ~= header.to or differs then return { 'mismatch' } end
          if header.reply and not entry.status then watch(header.id, entry, header.reply) end
          return { 'known', entry.status or 'pending', entry.payload or '' }
        end

        -- Why an envelope cannot be taken, and whether its client is to be told when there is room.
        local function refusalOf(size, isCyclic, actor, client, isResuming)
          if not actor then return { 'noactor' } end
          if isCyclic and not actor.fixed.reentrant then return { 'deadlock' } end
          if size > actor.fixed.sizeMax then return { 'large', actor.fixed.sizeMax } end
          if actor.live.blocked and not isResuming and call('LPOS', base .. ':blocked:' .. actor.key, client) then
            return { 'full' }
          end
          if not hasRoom(actor, 1, size, 1) then return { 'full' }, true end
          return nil
        end

        local function isHosted(actor)
          if actor.live.lease then return true end
          local queue = queueOf(actor)
          if hostedQueues[queue] == nil then hostedQueues[queue] = call('LLEN', base .. ':ring:' .. queue) > 0 end
          return hostedQueues[queue]
        end

        -- Appends envelopes whose outcomes are noted as pending already; what does not get into its mailbox is not pending.
        -- Answers with a number for each: its place, doubled, and one more if it is hosted.
        local function append(headers, targets, first, last, answers)
          local before = enteredCount
          local isDone, problem = pcall(function()
            for index = first, last do
              local actor = targets[index]
              local sequence = enqueue(blob(2 * index), headers[index], blob(2 * index + 1), actor, true)
              answers[index] = 2 * sequence + (isHosted(actor) and 1 or 0)
            end
          end)
          if isDone then return end
          for index = first + enteredCount - before, last do call('DEL', outcomeKey(headers[index].id)) end
          raise(problem)
        end

        -- What storing takes to know comes beside the header, which therefore is seldom unpacked: id, mailbox, size,
        -- deadline or false, whether it is a cycle and whether it refers to objects; and the pending outcome in two
        -- parts, between which the place belongs.
        local function unpackRow(at) return cmsgpack.unpack_limit(blob(1), 8, at) end

        local function headerOf(index, id, size, due, hasReferences)
          return hasReferences and cmsgpack.unpack(blob(2 * index)) or { id = id, size = size, due = due or nil }
        end

        -- Stores all, if each of them is new and may be stored; false, and nothing is done, if one has to be looked at
        -- by itself.
        local function sendAll(answers)
          local headers, targets, outcomes, seen, counts, sizes, at = {}, {}, {}, {}, {}, {}, 0
          for index = 1, request.count do
            local id, key, size, due, isCyclic, hasReferences, head, tail
            at, id, key, size, due, isCyclic, hasReferences, head, tail = unpackRow(at)
            local actor = loadActor(key)
            if not actor or actor.live.blocked or isCyclic or seen[id] or size > limits.envelopeSizeBytesMax then
              return false
            end
            local count, total = (counts[key] or 0) + 1, (sizes[key] or 0) + size
            if not hasRoom(actor, count, total, 1) then return false end
            counts[key], sizes[key], seen[id] = count, total, true
            headers[index], targets[index] = headerOf(index, id, size, due, hasReferences), actor
            outcomes[2 * index - 1] = outcomeKey(id)
            outcomes[2 * index] = head .. cmsgpack.pack(actor.live.last + count) .. tail
          end
          if call('MSETNX', unpack(outcomes)) == 0 then return false end
          append(headers, targets, 1, request.count, answers)
          return true
        end

        local function send(index, answers, id, key, size, due, isCyclic, hasReferences, head, tail)
          if size > limits.envelopeSizeBytesMax then return { 'large', limits.envelopeSizeBytesMax } end
          local packed, actor, client = blob(2 * index), loadActor(key), request.client
          local isResuming = request.resuming and index == 1
          local refusal, mustWait = refusalOf(size, isCyclic, actor, client, isResuming)
          if refusal then
            local answer = known(packed, liveOutcome(id))
            if mustWait and not answer then refuse(client, actor) end
            return answer or refusal
          end
          local answer = known(packed, notePending(id, head .. cmsgpack.pack(actor.live.last + 1) .. tail))
          if answer then return answer end
          if actor.live.blocked then forgive(client, actor) end
          append({ [index] = headerOf(index, id, size, due, hasReferences) }, { [index] = actor }, index, index, answers)
          return answers[index]
        end

        local function sendEach(answers)
          local at, id, key, size, due, isCyclic, hasReferences, head, tail = 0
          for index = 1, request.count do
            at, id, key, size, due, isCyclic, hasReferences, head, tail = unpackRow(at)
            answers[index] = send(index, answers, id, key, size, due, isCyclic, hasReferences, head, tail)
          end
        end

        function serve.send()
          local answers = {}
          if request.count > 0 and not sendAll(answers) then sendEach(answers) end
          return answers
        end
        """#

    static let callers = #"""
        local operations = {}

        local function make(key)
          local fixed = request.fixed
          fixed.incarnation, fixed.created = nextCounter(), now
          local live = { last = 0, count = 0, size = 0, dead = 0, wants = request.eager or nil,
            refers = #request.refs > 0 or nil, arrivals = request.arrival and { [request.site] = request.arrival } }
          call('HSET', base .. ':actor:' .. key, 'fixed', cmsgpack.pack(fixed), 'live', cmsgpack.pack(live),
            'about', blob(1), 'state', blob(2), 'refs', cmsgpack.pack(request.refs))
          actors[key] = { key = key, fixed = fixed, live = live }
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
          local move = there.live.move
          if not move or move.phase ~= 'moved' then return 'there is an actor ' .. there.key .. ' already' end
          return there.key .. ' was moved from there to site ' .. move.site
            .. ', and what it is still sent there is forwarded: move it back by way of that site, or stop that record '
            .. 'when nothing waits in its mailbox, and move again'
        end

        -- Whether it has left by the move that the request names, and the one who asks is the site to which it went.
        local function hasLeft(there)
          local move = there.live.move
          return request.left and move and move.phase == 'moved' and move.number == request.left
            and move.site == request.site
        end

        local function isHeld(there)
          local lease = there.live.lease
          return lease and lease.worker == request.holder and lease.epoch == request.epoch
        end

        -- Lets an actor go on here that had left: its mailbox, what it has begun and its name are as they were.
        local function welcome(there)
          local live = there.live
          voidActivation(there)
          -- What its state referred to when it left is kept until it has the next one.
          there.state = { 'state', blob(2) }
          live.arrivals = live.arrivals or {}
          live.arrivals[request.site] = request.arrival
          live.wants, live.move, there.isChanged = request.eager or nil, nil, true
          deliverMore(there)
          updateReadiness(there)
        end

        -- Makes an actor that comes from another site; asked again for the same move, answers alike.
        function operations.adopt()
          local known = liveOutcome(request.call)
          if known and known.status == 'deadLettered' then return { known.payload } end
          local there = loadActor(request.key)
          if there then
            if arrivalFrom(there, request.site) == request.arrival then return {} end
            if hasLeft(there) then
              if there.live.count > 0 and not isHeld(there) then return 'notyet' end
              welcome(there)
              for _, change in ipairs(request.timers) do applyTimer(change, there) end
              return {}
            end
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
