/// What became of calls, and who wants to know.
enum Outcomes {
    static let source = #"""
        local function outcomeKey(id) return base .. ':outcome:' .. id end

        -- It is an array, whose head is one byte: behind that its elements are read without making the array.
        local function outcomeOf(packed)
          local _, fingerprint, target, sequence, watchers, status, payload, expiresAt, size, kind, refs =
            cmsgpack.unpack_limit(packed, 10, 1)
          return {
            fingerprint = fingerprint, target = target, sequence = sequence, watchers = watchers, status = status,
            payload = payload, expiresAt = expiresAt, size = size, kind = kind, refs = refs,
          }
        end

        local function readOutcome(id)
          local packed = call('GET', outcomeKey(id))
          return packed and outcomeOf(packed)
        end

        -- A pending outcome has no status, and no expiry: it goes with its envelope, of which it says what the end of a
        -- turn has to know.
        local function packPending(entry)
          return cmsgpack.pack({ entry.fingerprint, entry.target, entry.sequence, entry.watchers, false, false, false,
            entry.size, entry.kind, entry.refs })
        end

        local function savePending(id, entry) call('SET', outcomeKey(id), packPending(entry)) end

        local function pendingOf(header, sequence)
          return { fingerprint = header.print or '0', target = header.to, sequence = sequence,
            watchers = { header.reply }, size = header.size, kind = header.kind, refs = header.refs }
        end

        local function isOver(entry) return entry.expiresAt and entry.expiresAt <= now end

        -- The outcome of an id, unless its retention is over.
        local function liveOutcome(id)
          local entry = readOutcome(id)
          if entry and isOver(entry) then
            call('DEL', outcomeKey(id))
            return nil
          end
          return entry
        end

        -- Notes a pending outcome under an id that is new; else gives what is known of it.
        local function notePending(id, packed)
          local key = outcomeKey(id)
          local old = call('SET', key, packed, 'NX', 'GET')
          local entry = old and outcomeOf(old)
          if entry and not isOver(entry) then return entry end
          if entry then call('SET', key, packed) end
          return nil
        end

        -- Beyond the bound the oldest watcher goes, and asks by id.
        local function watch(id, entry, client)
          for _, watcher in ipairs(entry.watchers) do
            if watcher == client then return end
          end
          table.insert(entry.watchers, client)
          if #entry.watchers > limits.watchersMax then table.remove(entry.watchers, 1) end
          savePending(id, entry)
        end

        -- The same for all that end at a time.
        local expiry, expiryText

        local function completionOf(id, entry)
          if entry.expiresAt ~= expiry then expiry, expiryText = entry.expiresAt, text(entry.expiresAt) end
          return string.format('%s.%d %s', expiryText, entry.sequence, id)
        end

        local function forgetOldestOutcome()
          local oldest = call('LPOP', base .. ':completed')
          local id = string.match(oldest, '^%-?%d+%.%d+ (.*)$')
          local entry = readOutcome(id)
          if entry and entry.status and completionOf(id, entry) == oldest then call('DEL', outcomeKey(id)) end
        end

        -- Makes a pending outcome final, tells its watchers, and forgets the oldest beyond the bound.
        local function finish(id, status, payload, outcome)
          local entry = outcome or readOutcome(id)
          if not entry or entry.status then return end
          payload = payload or ''
          for _, watcher in ipairs(entry.watchers) do
            post(watcher, 'outcome', id, 'status', status, 'payload', payload)
          end
          entry.expiresAt = now + limits.outcomeRetention
          local record = { entry.fingerprint, entry.target, entry.sequence, {}, status, payload, entry.expiresAt }
          call('SET', outcomeKey(id), cmsgpack.pack(record), 'PX', limits.outcomeKeyRetention)
          completed[#completed + 1] = completionOf(id, entry)
        end

        function saveCompletions()
          local count = callForAll('RPUSH', base .. ':completed', completed)
          for _ = limits.outcomesMax + 1, count do forgetOldestOutcome() end
        end

        """#
}
