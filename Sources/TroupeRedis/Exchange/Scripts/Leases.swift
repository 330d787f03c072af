/// Workers: registration, heartbeats, claims and releases.
enum Leases {
    /// Leasing an actor to a worker, with all that the worker needs to run it.
    static let claim = #"""
        local function lengthOfReady(queue) return call('ZCARD', base .. ':ready:' .. queue) end

        local function hasReady(queues)
          for _, queue in ipairs(queues) do
            if lengthOfReady(queue) > 0 then return true end
          end
          return false
        end

        -- How many of a queue a worker may take so that the live workers hold about equally many.
        local function fairShare(worker, queue)
          local total = lengthOfReady(queue) + (call('HGET', base .. ':active', queue) or 0)
          local workerCount = math.max(1, call('LLEN', base .. ':ring:' .. queue))
          local held = call('HGET', base .. ':worker:' .. worker.id, 'queue:' .. queue) or 0
          return math.floor((total + workerCount - 1) / workerCount) - held
        end

        local function popReady(queue)
          local key = call('ZPOPMIN', base .. ':ready:' .. queue)[1]
          if not key then return nil end
          local actor = actors[key] or loadWhole(key)
          actor.live.readySince, actor.isChanged = nil, true
          return actor
        end

        -- Ends the expired envelopes at the front of a mailbox that nobody holds; gives the next ones, as many as a window
        -- takes, if all of them were read.
        local function dropExpired(actor, window)
          local count = actor.live.suspect and 1 or window
          while actor.live.count > 0 do
            local entries = readQueue(actor, 0, count)
            if not entries[1] or not isExpired(entries[1].header) then return not actor.live.suspect and entries end
            for _, entry in ipairs(entries) do
              if not isExpired(entry.header) then break end
              expire(entry, actor)
            end
          end
        end

        local function describe(actor)
          if not actor.about then
            actor.about, actor.stored = unpack(call('HMGET', base .. ':actor:' .. actor.key, 'about', 'state'))
          end
          local timers = actor.live.timers and call('HKEYS', base .. ':timers:' .. actor.key) or {}
          return actor.about, actor.stored, timers
        end

        -- Gives the lease; nil if nothing was left to do, because what waited had expired.
        local function activate(actor, worker)
          local queue = queueOf(actor)
          local first = dropExpired(actor, worker.window)
          leaveIfDone(actor)
          local live, fixed = actor.live, actor.fixed
          if not hasWork(actor) or queueOf(actor) ~= queue then
            updateReadiness(actor)
            return nil
          end
          local epoch = nextCounter()
          live.lease = {
            worker = worker.id, epoch = epoch, commits = 0, outstanding = 0, upTo = 0, window = worker.window,
          }
          actor.isChanged = true
          worker.held = worker.held + 1
          grant(worker.id, queue, actor.key)
          local about, state, timers = describe(actor)
          local envelopes = {}
          for index, entry in ipairs(takeDeliverable(actor, nil, first)) do
            local attempts = attemptsOf(actor, entry.sequence)
            envelopes[index] = { entry.sequence, attempts, entry.header.cleared or 0, entry.body }
          end
          return { fixed.id, epoch, fixed.incarnation, about, state, timers, envelopes, describeMove(actor) }
        end

        local function claimOnly(key, worker)
          local actor = loadActor(key)
          if not actor then return 'noactor' end
          local live = actor.live
          if live.lease or live.paused or isCarried(actor) then return { {}, 0 } end
          if live.delayedUntil then call('ZREM', base .. ':due:delays', key) end
          if live.readySince then call('ZREM', base .. ':ready:' .. queueOf(actor), key) end
          live.delayedUntil, live.wants, live.readySince, actor.isChanged = nil, true, nil, true
          return { { activate(actor, worker) }, 0 }
        end

        function serve.claim()
          local id = request.worker
          local fields = call('HMGET', base .. ':worker:' .. id, 'max', 'window', 'queues', 'draining', 'rung')
          if not fields[1] then return false end
          local worker = {
            id = id, max = tonumber(fields[1]), window = tonumber(fields[2]),
            held = call('ZCARD', base .. ':held:' .. id),
          }
          if request.only then return claimOnly(request.only, worker) end
          local wasRung = fields[5] == '1'
          if wasRung then call('HSET', base .. ':worker:' .. id, 'rung', '0') end
          if fields[4] == '1' then return { {}, 0 } end
          local queues, activations = cmsgpack.unpack(fields[3]), {}
          for _, queue in ipairs(queues) do
            -- Whoever was rung takes at least one: nobody else was told of it.
            local least = wasRung and #activations == 0 and 1 or 0
            local share = request.greedy and math.huge or math.max(least, fairShare(worker, queue))
            while share > 0 and #activations < request.max and worker.held < worker.max do
              local actor = popReady(queue)
              if not actor then break end
              local activation = activate(actor, worker)
              if activation then
                table.insert(activations, activation)
                share = share - 1
              end
            end
          end
          return { activations, hasReady(queues) and 1 or 0 }
        end
        """#

    static let workers = #"""
        local operations = {}

        function operations.registerWorker()
          local id = request.worker
          local key, held = base .. ':worker:' .. id, base .. ':held:' .. id
          if call('EXISTS', key) == 1 then
            -- First of all out of the rings, so that the others are rung for what it gives back.
            leaveRings(id)
            for _, actor in ipairs(call('ZRANGE', held, 0, -1)) do giveBack(actor, false) end
            call('DEL', key, held)
          end
          clearLane(id)
          call('PERSIST', base .. ':lane:' .. id)
          call('HSET', key, 'about', blob(1), 'queues', cmsgpack.pack(request.queues), 'max', request.max,
            'window', request.window, 'lease', request.lease, 'until', text(now + request.lease))
          call('ZADD', base .. ':workers', 0, id)
          call('ZADD', base .. ':due:leases', now + request.lease, id)
          for index, name in ipairs(request.types) do call('HSET', base .. ':types', name, blob(index + 1)) end
          for _, queue in ipairs(request.queues) do call('RPUSH', base .. ':ring:' .. queue, id) end
          return 1
        end

        function operations.heartbeat()
          local id = request.worker
          local key = base .. ':worker:' .. id
          local fields = call('HMGET', key, 'max', 'lease', 'queues', 'draining')
          if not fields[1] then return false end
          local untilTime = now + fields[2]
          call('HSET', key, 'until', text(untilTime))
          call('ZADD', base .. ':due:leases', untilTime, id)
          local isDraining, hasReady = fields[4] == '1', false
          if not isDraining and call('ZCARD', base .. ':held:' .. id) < tonumber(fields[1]) then
            for _, queue in ipairs(cmsgpack.unpack(fields[3])) do
              hasReady = hasReady or call('ZCARD', base .. ':ready:' .. queue) > 0
            end
          end
          -- Only an exchange of several shards has an outbox.
          local away = request.away and call('HKEYS', base .. ':away:count') or {}
          return { isDraining and 1 or 0, hasReady and 1 or 0, call('ZRANGE', base .. ':garbage', 0, 99), away }
        end

        function operations.deregister()
          removeWorker(request.worker, false)
          return 1
        end

        function operations.drainWorker()
          local key = base .. ':worker:' .. request.worker
          local draining = call('HMGET', key, 'max', 'draining')
          if not draining[1] then return false end
          if draining[2] == '1' then return 1 end
          call('HSET', key, 'draining', '1')
          leaveRings(request.worker)
          deliver(request.worker, 'drain', '')
          return 1
        end

        function operations.release()
          local actor = loadActor(request.key)
          local lease = actor and actor.live.lease
          if not lease or lease.worker ~= request.worker or lease.epoch ~= request.epoch then return 'fenced' end
          local live = actor.live
          if request.mode == 'passivate' then
            if live.count > 0 and not (live.paused and lease.outstanding == 0) then return 'busy' end
            live.wants = nil
            endLease(actor)
          elseif request.mode == 'giveBack' then
            endLease(actor)
          else
            endLease(actor)
            if live.count == 0 then
              delay(actor, actor.fixed.backoffMax)
            else
              retry(readQueue(actor, 0, 1)[1], actor, blob(1))
            end
            announceRoom(actor)
          end
          updateReadiness(actor)
          return 'released'
        end

        function serve.workers() return operations[request.operation]() end
        """#
}
